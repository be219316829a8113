/* Ways to wait for a word that another process changes. */
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>

static inline void relax(void) {
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb");
#endif
}

/* relax_longer makes the pauses between the looks of one wait longer, up to 64:
 * each look takes the cache line away from who is to change it. */
static inline void relax_longer(int *pauses) {
	for (int i = 0; i < *pauses; i++) relax();
	if (*pauses < 64) *pauses *= 2;
}

static inline void futex_wait(atomic_uint *word, unsigned val) { syscall(SYS_futex, word, FUTEX_WAIT, val, NULL, NULL, 0); }

static inline void futex_wake(atomic_uint *word) { syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0); }
