; VM entry and the way back. The registers that no field of the VMCS holds are saved here, in a struct registers.

bits 64
extern gdt_pointer, idt_pointer, stack_top, handle_exit, entry_failed
global launch, vm_exit

%macro load_registers 0         ; what handle_exit may have changed, from the stack
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rbp
    pop rbx
    pop rdx
    pop rcx
    pop rax
%endmacro

section .text
launch:                         ; void launch(uint64_t rdi): the guest starts with this in RDI. Never returns.
    vmlaunch
    jmp failed

vm_exit:                        ; HOST_RIP, with RSP = HOST_RSP = stack_top
    push rax
    push rcx
    push rdx
    push rbx
    push rbp
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    lgdt [gdt_pointer]          ; a VM exit loads the bases, but sets the limits to 64 KiB
    lidt [idt_pointer]
    mov rdi, rsp
    cld
    call handle_exit
    load_registers
    vmresume
failed:                         ; CF: no current VMCS; ZF: the VM-instruction error says why
    mov rsp, stack_top
    setc dil
    movzx edi, dil
    call entry_failed
