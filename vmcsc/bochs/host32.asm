; Runs a few bytes of code as a 32-bit host: out of long mode, into VMX operation, and back however that ends. A hypervisor
; cannot leave long mode, so it does so between VMXOFF and VMXON.

extern gdt_pointer, idt_pointer, registers, code, flags, host_cr4, vmxon_pointer, vmcs, tables32
global run32, vm_exit32

%assign COMPLETED 0
%assign EXITED 2
%assign PAGING 1 << 31          ; in CR0
%assign IA32_EFER 0xc0000080
%assign LONG_MODE 1 << 8        ; in IA32_EFER

section .text
bits 64
run32:                          ; int run32(void): as `run`, with no registers; VMX operation is left, the VMCS is cleared
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov [rel stack], rsp
    vmclear [rel vmcs]
    vmxoff
    mov rax, cr0
    mov [rel cr0_before], rax
    mov rax, cr3
    mov [rel cr3_before], rax
    mov ecx, IA32_EFER
    rdmsr
    mov [rel efer_before], eax
    lgdt [rel pointer]
    push 0x20
    lea rax, [rel narrow]
    push rax
    retfq

bits 32
narrow:
    mov ax, 0x10
    mov ss, ax
    mov ds, ax
    mov es, ax
    mov eax, cr0
    and eax, ~(PAGING)
    mov cr0, eax
    mov eax, [efer_before]
    and eax, ~(LONG_MODE)
    xor edx, edx
    wrmsr
    mov eax, tables32
    mov cr3, eax
    mov eax, [cr0_before]
    mov cr0, eax
    vmxon [vmxon_pointer]
    vmptrld [vmcs]
    xor eax, eax
    xor ebx, ebx
    xor ecx, ecx
    xor edx, edx
    xor esi, esi
    xor edi, edi
    xor ebp, ebp
    call [code]
    pushfd
    pop dword [flags]
    mov ebx, COMPLETED
    jmp wide

vm_exit32:                      ; HOST_RIP; only CS and SS are there for sure
    lgdt [cs:gdt_pointer]
    mov ax, 0x10
    mov ss, ax
    mov ds, ax
    mov es, ax
    mov esp, [stack]
    mov ebx, EXITED

wide:
    vmclear [vmcs]
    vmxoff
    mov eax, [cr0_before]
    and eax, ~(PAGING)
    mov cr0, eax
    mov eax, [host_cr4]
    mov cr4, eax
    mov eax, [cr3_before]
    mov cr3, eax
    mov ecx, IA32_EFER
    mov eax, [efer_before]
    xor edx, edx
    wrmsr
    mov eax, [cr0_before]
    mov cr0, eax
    jmp 0x08:back

bits 64
back:                           ; an IRET, since an NMI that exits leaves NMIs blocked
    lgdt [rel gdt_pointer]
    lidt [rel idt_pointer]
    mov rsp, [rel stack]
    mov rdx, rsp
    push 0x10
    push rdx
    push 2
    push 8
    lea rdx, [rel .unblocked]
    push rdx
    iretq
.unblocked:
    mov eax, ebx
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

section .data
align 16
descriptors:                    ; as in start.asm, and 32-bit code
    dq 0
    dq 0x00209b0000000000       ; 0x08: 64-bit code
    dq 0x00cf93000000ffff       ; 0x10: data
    dq 0                        ; 0x18: the task register is loaded already
    dq 0x00cf9b000000ffff       ; 0x20: 32-bit code
pointer:
    dw $ - descriptors - 1
    dq descriptors

section .bss
alignb 8
stack:       resq 1
cr0_before:  resq 1
cr3_before:  resq 1
efer_before: resd 1
