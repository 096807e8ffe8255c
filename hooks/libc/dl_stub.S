/* SPDX-License-Identifier: Apache-2.0 */
/*
 * void *dlopen(const char *file, int mode)
 * void *dlsym(void *handle, const char *name)
 *
 * libc judges both by the return address: it is where a RUNPATH, a namespace and the meaning of RTLD_NEXT (-1)
 * and RTLD_DEFAULT (0) come from. So the real functions are jumped to with the caller's stack and registers.
 * dlsym with any other handle goes to C.
 */
        .text

#if defined(__x86_64__)

/* ENTER function: call it with the arguments as they are; what it returns is left in rax. */
.macro  ENTER function
        pushq   %rdi
        .cfi_adjust_cfa_offset 8
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        call    \function
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %rsi
        .cfi_adjust_cfa_offset -8
        popq    %rdi
        .cfi_adjust_cfa_offset -8
.endm

        .globl  dlopen
        .type   dlopen, %function
        .p2align 4
dlopen:
        .cfi_startproc
        endbr64
        ENTER   dl_open_enter
        jmp     *%rax
        .cfi_endproc
        .size   dlopen, . - dlopen

        .globl  dlsym
        .type   dlsym, %function
        .p2align 4
dlsym:
        .cfi_startproc
        endbr64
        ENTER   dl_sym_enter
        leaq    1(%rdi), %rcx
        cmpq    $1, %rcx
        ja      curl_dlsym_handle
        jmp     *%rax
        .cfi_endproc
        .size   dlsym, . - dlsym

#elif defined(__aarch64__)

/* ENTER function: call it with the arguments as they are; what it returns is left in x16. */
.macro  ENTER function
        stp     x29, x30, [sp, #-32]!
        .cfi_def_cfa_offset 32
        .cfi_offset 29, -32
        .cfi_offset 30, -24
        mov     x29, sp
        stp     x0, x1, [sp, #16]
        bl      \function
        mov     x16, x0
        ldp     x0, x1, [sp, #16]
        ldp     x29, x30, [sp], #32
        .cfi_def_cfa_offset 0
        .cfi_restore 29
        .cfi_restore 30
.endm

        .globl  dlopen
        .type   dlopen, %function
        .p2align 4
dlopen:
        .cfi_startproc
        hint    #34
        ENTER   dl_open_enter
        br      x16
        .cfi_endproc
        .size   dlopen, . - dlopen

        .globl  dlsym
        .type   dlsym, %function
        .p2align 4
dlsym:
        .cfi_startproc
        hint    #34
        ENTER   dl_sym_enter
        add     x17, x0, #1
        cmp     x17, #1
        b.hi    curl_dlsym_handle
        br      x16
        .cfi_endproc
        .size   dlsym, . - dlsym

#else
#error "no dlopen for this architecture"
#endif

        .section .note.GNU-stack, "", %progbits
