/* What happens before `main` on a Cortex-M4F, and a serial line: QEMU's semihosting. A real board has
 * its vendor's start-up code instead.
 */
#include <stddef.h>
#include <stdint.h>

extern uint32_t stack_top[], data_start[], data_end[], data_load[], bss_start[], bss_end[];
int main(void);

static int host(int call, const void *argument) {
    register int r0 __asm__("r0") = call;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

/* SYS_WRITEC. */
void put(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        host(0x03, &text[i]);
    }
}

/* SYS_EXIT_EXTENDED, ADP_Stopped_ApplicationExit. */
static void leave(uint32_t code) {
    uint32_t arguments[2] = {0x20026, code};
    host(0x20, arguments);
    for (;;) {
    }
}

static void fault(void) { leave(99); }

void reset(void) {
    /* The FPU is off at first. */
    *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20;
    __asm__ volatile("dsb\nisb");
    for (uint32_t *to = data_start, *from = data_load; to < data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = bss_start; to < bss_end;) {
        *to++ = 0;
    }
    leave((uint32_t)main());
}

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[] = {
    (uintptr_t)stack_top, (uintptr_t)reset, (uintptr_t)fault, (uintptr_t)fault,
    (uintptr_t)fault,     (uintptr_t)fault, (uintptr_t)fault,
};
