; Where the kernel begins: descriptor tables, stack, and the way from an exception to C.

bits 64
%define EXCEPTION_SIZE 16       ; bytes of code for each exception
extern main, fault, _bss, _end
global _start, gdt, gdt_pointer, idt, idt_pointer, tss, stack_top

section .start
_start:
    mov rdi, _bss
    mov rcx, _end
    sub rcx, rdi
    xor eax, eax
    rep stosb
    mov rsp, stack_top
    mov rax, tss                ; the base of the TSS stands in its descriptor in pieces
    mov [gdt.tss + 2], ax
    shr rax, 16
    mov [gdt.tss + 4], al
    mov [gdt.tss + 7], ah
    lgdt [gdt_pointer]
    lea rax, [.reload]          ; CS, from the table that is in force now
    push 8
    push rax
    retfq
.reload:
    mov ax, 0x18
    ltr ax

    mov rdi, idt                ; 32 gates for exceptions
    mov rax, exceptions
    mov ecx, 32
.gate:
    mov [rdi], ax
    mov word [rdi + 2], 8
    mov word [rdi + 4], 0x8e00
    mov rdx, rax
    shr rdx, 16
    mov [rdi + 6], dx
    shr rdx, 16
    mov [rdi + 8], edx
    add rdi, 16
    add rax, EXCEPTION_SIZE
    loop .gate
    lidt [idt_pointer]
    call main
.stop:
    hlt
    jmp .stop

align 16
exceptions:                     ; each pushes an error code where the processor does not, and its number
%assign number 0
%rep 32
    align EXCEPTION_SIZE
    %if number != 8 && (number < 10 || number > 14) && number != 17 && number != 21
    push 0
    %endif
    push number
    jmp exception
    %assign number number + 1
%endrep

exception:
    push rax
    push rcx
    push rdx
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    lea rdi, [rsp + 9 * 8]      ; struct frame *
    cld
    call fault
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rax
    add rsp, 16
    iretq

section .data
align 16
gdt:
    dq 0
    dq 0x00209b0000000000       ; 0x08: 64-bit code
    dq 0x00cf93000000ffff       ; 0x10: data
.tss:
    dq 0x0000890000000067, 0    ; 0x18: the TSS
gdt_pointer:
    dw $ - gdt - 1
    dq gdt
idt_pointer:
    dw 32 * 16 - 1
    dq idt

section .bss
alignb 16
idt:    resb 32 * 16
tss:    resb 104
alignb 16
stack:  resb 16384
stack_top:
