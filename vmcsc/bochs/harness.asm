; Runs a few bytes of code with given registers, and comes back however that ends: by itself, by an exception, or by a
; VM exit from a guest that the code entered.

bits 64
extern gdt_pointer, idt_pointer
global run, recover, vm_exit, registers, code, flags, host_cr0, host_cr4

%assign COMPLETED 0
%assign FAULTED 1
%assign EXITED 2

%macro each_register 1          ; in the order of their numbers in instructions, without RSP
    %1 rax, 0
    %1 rcx, 1
    %1 rdx, 2
    %1 rbx, 3
    %1 rbp, 5
    %1 rsi, 6
    %1 rdi, 7
    %1 r8, 8
    %1 r9, 9
    %1 r10, 10
    %1 r11, 11
    %1 r12, 12
    %1 r13, 13
    %1 r14, 14
    %1 r15, 15
%endmacro
%macro load 2
    mov %1, [rel registers + 8 * %2]
%endmacro
%macro store 2
    mov [rel registers + 8 * %2], %1
%endmacro

section .text
run:                            ; int run(void): executes what `code` points to, which ends with RET
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov [rel stack], rsp
    push 2                      ; no flag says that something failed
    popfq
    each_register load
    call [rel code]
    each_register store
    pushfq
    pop qword [rel flags]
    mov eax, COMPLETED
    jmp back

recover:                        ; where `fault` sends what faulted in the code
    mov eax, FAULTED
    jmp back

vm_exit:                        ; HOST_RIP
    each_register store
    mov rsp, [rel stack]
    mov rax, [rel host_cr4]
    mov cr4, rax
    mov rax, [rel host_cr0]     ; and caching as it was
    mov cr0, rax
    lgdt [rel gdt_pointer]
    lidt [rel idt_pointer]
    mov eax, EXITED

back:                           ; an IRET, since an NMI that exits leaves NMIs blocked
    mov rsp, [rel stack]
    mov cx, 16
    mov ss, cx
    mov ds, cx
    mov es, cx
    mov rdx, rsp
    push 16
    push rdx
    push 2
    push 8
    lea rdx, [rel .unblocked]
    push rdx
    iretq
.unblocked:
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

section .bss
alignb 8
registers: resq 16
code:      resq 1
flags:     resq 1
stack:     resq 1
host_cr0:  resq 1
host_cr4:  resq 1
