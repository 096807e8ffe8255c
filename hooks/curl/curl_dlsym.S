/* SPDX-License-Identifier: Apache-2.0 */
/*
 * void *dlsym(void *handle, const char *name)
 *
 * RTLD_DEFAULT (0) and RTLD_NEXT (-1) mean something only together with the caller's return address, so
 * the real function is jumped to with the caller's stack and registers. Other handles go to C.
 */
        .text
        .globl  dlsym
        .type   dlsym, %function
        .p2align 4

#if defined(__x86_64__)

dlsym:
        .cfi_startproc
        endbr64
        leaq    1(%rdi), %rax
        cmpq    $1, %rax
        ja      curl_dlsym_handle
        movq    curl_dlsym_real(%rip), %rax
        testq   %rax, %rax
        jz      1f
        jmp     *%rax
1:      pushq   %rdi
        .cfi_adjust_cfa_offset 8
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        call    curl_dlsym_resolve
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %rsi
        .cfi_adjust_cfa_offset -8
        popq    %rdi
        .cfi_adjust_cfa_offset -8
        jmp     *%rax
        .cfi_endproc

#elif defined(__aarch64__)

dlsym:
        .cfi_startproc
        hint    #34
        add     x16, x0, #1
        cmp     x16, #1
        b.hi    curl_dlsym_handle
        adrp    x16, curl_dlsym_real
        ldr     x16, [x16, #:lo12:curl_dlsym_real]
        cbz     x16, 1f
        br      x16
1:      stp     x29, x30, [sp, #-32]!
        .cfi_def_cfa_offset 32
        .cfi_offset 29, -32
        .cfi_offset 30, -24
        stp     x0, x1, [sp, #16]
        bl      curl_dlsym_resolve
        mov     x16, x0
        ldp     x0, x1, [sp, #16]
        ldp     x29, x30, [sp], #32
        .cfi_def_cfa_offset 0
        .cfi_restore 29
        .cfi_restore 30
        br      x16
        .cfi_endproc

#else
#error "no dlsym for this architecture"
#endif

        .size   dlsym, . - dlsym
        .section .note.GNU-stack, "", %progbits
