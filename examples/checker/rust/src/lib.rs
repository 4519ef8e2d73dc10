//! The checks of VM entry, before the processor makes them.
//!
//! `check` asks two closures for what the machine says: RDMSR of an index, VMREAD of an encoding. `None` is unknown.

use std::ffi::{c_char, c_int, c_uint, c_void, CStr};

/// What VM entry will make of the VMCS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It fails, by this rule, with an exit reason or a VM-instruction error.
    Fails { rule: String, exit_reason: Option<u32>, instruction_error: Option<u32> },
    /// It succeeds.
    Enters,
    /// Nothing is violated, but so many rules hang on what is unknown.
    Open { undetermined: u32 },
}

#[repr(C)]
struct Violation {
    rule: c_uint,
    element: u32,
    name: *const c_char,
    section: *const c_char,
    fields: *const u16,
    fields_count: c_uint,
}

#[repr(C)]
struct Outcome {
    enters: c_uint,
    undetermined: c_uint,
    exit_reason: c_int,
    qualification: c_int,
    instruction_error: c_int,
    rule: *const c_char,
}

type Reader = unsafe extern "C" fn(*mut c_void, u32, *mut u64) -> c_int;

extern "C" {
    fn checked_entry(
        rdmsr: Reader,
        vmread: Reader,
        violated: unsafe extern "C" fn(*mut c_void, *const Violation),
        maxphyaddr: u64,
        context: *mut c_void,
    ) -> Outcome;
}

struct Context<'a> {
    rdmsr: &'a mut dyn FnMut(u32) -> Option<u64>,
    vmread: &'a mut dyn FnMut(u32) -> Option<u64>,
    violated: Vec<String>,
}

/// The verdict, and the rules that are violated. `maxphyaddr` is the physical-address width; 0: unknown.
pub fn check(
    mut rdmsr: impl FnMut(u32) -> Option<u64>,
    mut vmread: impl FnMut(u32) -> Option<u64>,
    maxphyaddr: u64,
) -> (Verdict, Vec<String>) {
    let mut context = Context { rdmsr: &mut rdmsr, vmread: &mut vmread, violated: Vec::new() };
    let place = &mut context as *mut Context as *mut c_void;
    // SAFETY: `context` outlives the call, and the three functions take it for what it is.
    let outcome = unsafe { checked_entry(read_msr, read_field, tell, maxphyaddr, place) };
    let number = |one: c_int| u32::try_from(one).ok();
    let verdict = match outcome.enters {
        0 => Verdict::Fails {
            rule: text(outcome.rule),
            exit_reason: number(outcome.exit_reason),
            instruction_error: number(outcome.instruction_error),
        },
        1 => Verdict::Enters,
        _ => Verdict::Open { undetermined: outcome.undetermined },
    };
    (verdict, context.violated)
}

unsafe extern "C" fn read_msr(context: *mut c_void, index: u32, value: *mut u64) -> c_int {
    give(((*(context as *mut Context)).rdmsr)(index), value)
}

unsafe extern "C" fn read_field(context: *mut c_void, encoding: u32, value: *mut u64) -> c_int {
    give(((*(context as *mut Context)).vmread)(encoding), value)
}

unsafe fn give(found: Option<u64>, value: *mut u64) -> c_int {
    if let Some(content) = found {
        *value = content;
    }
    c_int::from(found.is_some())
}

unsafe extern "C" fn tell(context: *mut c_void, violation: *const Violation) {
    (*(context as *mut Context)).violated.push(text((*violation).name));
}

fn text(name: *const c_char) -> String {
    // SAFETY: the names are constants of the generated header, and end with a zero.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_violated_is_named() {
        let rflags = 0x6820;
        let (verdict, violated) = check(|_| None, |field| (field == rflags).then_some(0), 46);
        assert_eq!(violated, ["VMX6313 guest-rflags-bit1"]);
        assert!(matches!(verdict, Verdict::Fails { exit_reason: Some(33), .. }));
    }

    #[test]
    fn what_is_unknown_is_not_violated() {
        let (verdict, violated) = check(|_| None, |_| None, 0);
        assert!(violated.is_empty());
        assert!(matches!(verdict, Verdict::Open { undetermined } if undetermined > 100));
    }
}
