fn main() {
    println!("cargo:rerun-if-changed=checker.c");
    println!("cargo:rerun-if-changed=vmcsc_checker.h");
    cc::Build::new().file("checker.c").compile("checked_entry");
}
