; The guest: 64-bit code that does one thing after the other and asks for nothing. RDI is 1 where HLT comes back.

bits 64
global guest

section .text
guest:
    xor eax, eax
    cpuid
    rdtsc
    out 0x80, al                ; the port for delays
    in al, 0x60                 ; the keyboard
    mov ecx, 0xc0000100         ; IA32_FS_BASE
    rdmsr
    mov ecx, 0x1a0              ; IA32_MISC_ENABLE
    rdmsr
    mov rax, cr3
    mov cr3, rax
    test edi, edi
    jz .done
    hlt
.done:
    vmcall                      ; always exits; the hypervisor takes it as the end
    jmp .done
