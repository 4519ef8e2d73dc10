; The first sector of the disk: loads the kernel that follows it, goes to 64-bit mode and jumps there.
;
; nasm -f bin -D SECTORS=n, where n is the number of 512-byte sectors of the kernel (at most 1000).

%define LOADED 0x10000          ; where the firmware can put the kernel
%define KERNEL 0x1000000        ; where it is linked to run: 16 MiB, out of the way of whatever else there is
%define TABLES 0x90000          ; page tables until the kernel has its own

bits 16
org 0x7c00

    jmp 0:start
start:
    cli
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00
    mov [drive], dl

.load:                          ; 64 sectors (32 KiB) at a time
    cmp word [packet.count], 0
    je .loaded
    mov si, packet
    mov dl, [drive]
    mov ah, 0x42                ; extended read
    int 0x13
    jc stop
    add word [packet.segment], 64 * 512 / 16
    add word [packet.sector], 64
    sub word [left], 64
    jbe .loaded
    cmp word [left], 64
    jae .load
    mov ax, [left]
    mov [packet.count], ax
    jmp .load

.loaded:
    mov al, 0xff                ; no interrupts from devices
    out 0x21, al
    out 0xa1, al
    in al, 0x92                 ; address line 20
    or al, 2
    out 0x92, al

    mov edi, TABLES             ; the first GiB, in pages of 2 MiB
    mov ecx, 3 * 4096 / 4
    xor eax, eax
    push ds
    mov dx, TABLES >> 4
    mov es, dx
    xor di, di
    rep stosd
    mov dword [es:0], TABLES + 0x1003
    mov dword [es:0x1000], TABLES + 0x2003
    mov di, 0x2000
    mov eax, 0x83               ; present, writable, large
.map:
    mov [es:di], eax
    add eax, 0x200000
    add di, 8
    cmp di, 0x3000
    jne .map
    pop ds

    lgdt [gdt.pointer]
    mov eax, TABLES
    mov cr3, eax
    mov eax, 1 << 5             ; CR4.PAE
    mov cr4, eax
    mov ecx, 0xc0000080         ; IA32_EFER
    rdmsr
    or eax, 1 << 8              ; LME
    wrmsr
    mov eax, cr0
    and eax, ~(3 << 29)         ; caches on: CD, NW
    or eax, 1 << 31 | 1         ; PG, PE
    mov cr0, eax
    jmp 8:long_mode

stop:
    hlt
    jmp stop

bits 64
long_mode:
    mov ax, 16
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esi, LOADED
    mov edi, KERNEL
    mov ecx, SECTORS * 512 / 8
    rep movsq
    mov eax, KERNEL
    jmp rax

align 8
gdt:
    dq 0
    dq 0x00209b0000000000       ; 64-bit code
    dq 0x00cf93000000ffff       ; data
.pointer:
    dw $ - gdt - 1
    dd gdt

align 4
packet:
    db 16, 0
.count:
    dw SECTORS < 64 ? SECTORS : 64
    dw 0
.segment:
    dw LOADED >> 4
.sector:
    dq 1
left:
    dw SECTORS
drive:
    db 0

times 510 - ($ - $$) db 0
dw 0xaa55
