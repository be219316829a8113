package sync_test

import (
	"os"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	psync "github.com/go-multiproc/multiproc/sync"
)

// mapOver maps a page of file where the lock lay until its memory was unmapped.
func mapOver(l psync.Locker, file *os.File) ([]byte, error) {
	low, _ := halves(l)
	size := unix.Getpagesize()
	page := unsafe.Pointer(uintptr(unsafe.Pointer(low)) &^ uintptr(size-1))
	_, err := unix.MmapPtr(int(file.Fd()), 0, page, uintptr(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED_NOREPLACE)
	return unsafe.Slice((*byte)(page), size), err
}

// pendOn gives the calling thread a robust list that is empty but for word, which
// is on its way onto it.
func pendOn(word *atomic.Uint32) error {
	page, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON)
	if err != nil {
		return err
	}
	list := (*struct{ next, offset, pending, node uintptr })(unsafe.Pointer(unsafe.SliceData(page)))
	list.next = uintptr(unsafe.Pointer(list))
	list.pending = uintptr(unsafe.Pointer(&list.node))
	list.offset = uintptr(unsafe.Pointer(word)) - list.pending
	if _, _, errno := unix.RawSyscall(unix.SYS_SET_ROBUST_LIST, uintptr(unsafe.Pointer(list)), unsafe.Offsetof(list.node), 0); errno != 0 {
		return errno
	}
	return nil
}

// dieOfWake makes the kernel kill this process when it wakes a sleeper on shared
// memory. (The Go runtime's own futexes are private.)
func dieOfWake() error {
	const load, jumpIfEqual, ret = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	program := []unix.SockFilter{
		{Code: load, K: 0}, // the number of the call
		{Code: jumpIfEqual, K: unix.SYS_FUTEX, Jf: 3},
		{Code: load, K: seccompArgument1},
		{Code: jumpIfEqual, K: sharedFutexWake, Jf: 1},
		{Code: ret, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: ret, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	runtime.LockOSThread() // the first call counts for its thread, the second spreads it
	defer runtime.UnlockOSThread()
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return errno
	}
	return nil
}
