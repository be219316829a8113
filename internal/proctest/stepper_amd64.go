package proctest

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// A Stepper runs one thread of a helper instruction by instruction, so that a
// test can kill the helper between any two. A user may step through the user's
// own helpers; no privilege is needed unless the system forbids ptrace to all.
//
// The other threads of the helper stand, all but its first. So the Go runtime
// preempts nobody, and an operation takes the same way each time. A thread that
// turns out to wait for another gets them back; see End.
//
// The kernel takes ptrace calls only from the thread that began, so a Stepper
// belongs to one goroutine, which is tied to its thread from Seize to Kill.
type Stepper struct {
	proc  *Proc
	tid   int
	regs  unix.PtraceRegs // as the thread stands; out of date between Begin and End
	early bool            // AwaitSleep has seen that the instruction is over
	still []int           // the other threads, as long as they stand
	dead  bool
}

// MarkStep is where a helper lets the stepping begin: with the return from this
// call. The calling goroutine must be locked to a thread that is not the
// helper's first, and that Seize was given.
func MarkStep() {
	// Not unix.Tgkill, which is longer.
	_, _, _ = unix.RawSyscall(unix.SYS_TGKILL, uintptr(os.Getpid()), uintptr(unix.Gettid()), uintptr(unix.SIGSTOP))
}

// Seize takes hold of a thread of the helper. It calls begin, upon which the
// thread is to call MarkStep; there it stands when Seize returns.
func (p *Proc) Seize(t testing.TB, tid int, begin func()) *Stepper {
	t.Helper()
	if tid == p.Pid() {
		t.Fatalf("proctest: os/exec would see the stops of the first thread of %s", p)
	}
	runtime.LockOSThread()
	s := &Stepper{proc: p, tid: tid}
	s.must(t, "seize", unix.PtraceSeize(tid))
	t.Cleanup(func() { // of a test that has failed: else the helper could not be reaped
		if !s.dead {
			s.Kill(t)
		}
	})
	begin()
	for s.wait(t) != unix.SIGSTOP {
		s.must(t, "continue", unix.PtraceCont(tid, 0))
	}
	s.freeze(t)
	s.look(t)
	return s
}

// freeze stops the other threads. Those that may start others stand when the
// list has nothing new.
func (s *Stepper) freeze(t testing.TB) {
	for fresh := true; fresh; {
		fresh = false
		for _, name := range list(fmt.Sprintf("/proc/%d/task", s.proc.Pid())) {
			tid, err := strconv.Atoi(name)
			if err != nil || tid == s.tid || tid == s.proc.Pid() || slices.Contains(s.still, tid) {
				continue
			}
			fresh = true
			s.must(t, "seize a sibling of", unix.PtraceSeize(tid))
			s.must(t, "interrupt a sibling of", unix.PtraceInterrupt(tid))
			if _, err := wait4(tid, unix.WALL); err != nil {
				s.must(t, "wait for a sibling of", err)
			}
			s.still = append(s.still, tid)
		}
	}
}

// thaw lets the other threads go on.
func (s *Stepper) thaw(t testing.TB) {
	for _, tid := range s.still {
		s.must(t, "let go of a sibling of", unix.PtraceDetach(tid))
	}
	s.still = nil
}

// PC returns the address of the next instruction. The helper is this program
// again, so that it means the same here.
func (s *Stepper) PC() uintptr { return uintptr(s.regs.Rip) }

// A Syscall is a system call with its first two arguments.
type Syscall struct{ Number, Arg0, Arg1 uint64 }

var syscallInstruction = []byte{0x0f, 0x05}

// calls remembers which instructions of this program enter the kernel.
var calls = map[uintptr]bool{}

// Call returns the system call that is the next instruction, if it is one and
// lies in the program, as opposed to the vDSO.
func (s *Stepper) Call(t testing.TB) (call Syscall, ok bool) {
	t.Helper()
	pc := s.PC()
	is, known := calls[pc]
	if !known {
		if runtime.FuncForPC(pc) == nil {
			return call, false
		}
		var text [2]byte
		_, err := unix.PtracePeekText(s.tid, pc, text[:])
		s.must(t, "read the program", err)
		is = bytes.Equal(text[:], syscallInstruction)
		calls[pc] = is
	}
	return Syscall{s.regs.Rax, s.regs.Rdi, s.regs.Rsi}, is
}

// Step executes one instruction. One that is a system call is executed whole,
// and may block.
func (s *Stepper) Step(t testing.TB) {
	t.Helper()
	s.Begin(t)
	s.End(t)
}

// Begin is the first half of Step: the instruction is on its way.
func (s *Stepper) Begin(t testing.TB) {
	t.Helper()
	s.Call(t) // for End: the program can only be read while the thread stands
	s.must(t, "step", unix.PtraceSingleStep(s.tid))
}

// End is the other half of Step. Signals that come meanwhile are kept from the
// thread. If it sleeps, which may be for one of the others, these go on.
func (s *Stepper) End(t testing.TB) {
	t.Helper()
	_, call := s.Call(t)
	for !s.early {
		if call && len(s.still) > 0 {
			s.AwaitSleep(t)
			if !s.early {
				s.thaw(t)
			}
			continue
		}
		if s.wait(t) == unix.SIGTRAP {
			break
		}
		s.Begin(t)
	}
	s.early = false
	s.look(t)
}

// AwaitSleep returns when the thread, after Begin, sleeps in the kernel, or when
// it has come back from there.
func (s *Stepper) AwaitSleep(t testing.TB) {
	t.Helper()
	for !s.early {
		status, err := wait4(s.tid, unix.WALL|unix.WNOHANG)
		s.must(t, "wait for", err)
		switch {
		case status.Stopped() && status.StopSignal() == unix.SIGTRAP && status>>16 == 0:
			s.early = true
			return
		case status != running:
			s.Begin(t)
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/stat", s.proc.Pid(), s.tid))
		s.must(t, "look at", err)
		if bytes.HasPrefix(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" S")) {
			return
		}
		runtime.Gosched()
	}
}

// RunTo lets the helper run at full speed until the thread is about to execute
// the instruction at pc. Meanwhile it calls idle again and again, and returns
// false, with the thread still running, when that does.
func (s *Stepper) RunTo(t testing.TB, pc uintptr, idle func() bool) (arrived bool) {
	t.Helper()
	var was [1]byte
	_, err := unix.PtracePeekText(s.tid, pc, was[:])
	s.must(t, "read the program", err)
	_, err = unix.PtracePokeText(s.tid, pc, breakpoint)
	s.must(t, "set a breakpoint for", err)
	s.thaw(t)
	s.must(t, "continue", unix.PtraceCont(s.tid, 0))
	for {
		status, err := wait4(s.tid, unix.WALL|unix.WNOHANG)
		s.must(t, "wait for", err)
		switch {
		case status == running:
			if !idle() {
				return false
			}
			runtime.Gosched()
		case status.StopSignal() == unix.SIGTRAP && status>>16 == 0:
			s.look(t)
			s.regs.Rip -= uint64(len(breakpoint))
			if s.PC() != pc {
				t.Fatalf("proctest: %s ran into a trap at %#x", s.proc, s.PC())
			}
			s.must(t, "set the registers of", unix.PtraceSetRegs(s.tid, &s.regs))
			_, err = unix.PtracePokeText(s.tid, pc, was[:])
			s.must(t, "remove the breakpoint of", err)
			s.freeze(t)
			return true
		case status>>16 == unix.PTRACE_EVENT_STOP:
			s.must(t, "continue", unix.PtraceCont(s.tid, 0))
		default:
			s.must(t, "continue", unix.PtraceCont(s.tid, int(status.StopSignal())))
		}
	}
}

var breakpoint = []byte{0xcc}

// Kill ends the helper where it stands: not one more instruction of the thread
// runs.
func (s *Stepper) Kill(t testing.TB) {
	t.Helper()
	defer runtime.UnlockOSThread()
	s.dead = true
	s.proc.mustSignal(t, unix.SIGKILL)
	// The helper is not gone before its tracer has seen the end of each thread.
	for _, tid := range append(s.still, s.tid) {
		for {
			status, err := wait4(tid, unix.WALL)
			if err == unix.ECHILD || err == nil && (status.Signaled() || status.Exited()) {
				break
			}
			s.must(t, "reap", err)
		}
	}
	s.proc.Kill(t)
}

// wait returns the signal with which the thread stops; an interrupt has none.
func (s *Stepper) wait(t testing.TB) unix.Signal {
	t.Helper()
	status, err := wait4(s.tid, unix.WALL)
	s.must(t, "wait for", err)
	if !status.Stopped() {
		t.Fatalf("proctest: thread %d of %s has ended, status %#x", s.tid, s.proc, status)
	}
	if status>>16 == unix.PTRACE_EVENT_STOP {
		return 0
	}
	return status.StopSignal()
}

// running is the status of a thread that has not stopped; no stop has it.
const running = ^unix.WaitStatus(0)

func wait4(tid, options int) (status unix.WaitStatus, err error) {
	for {
		switch n, err := unix.Wait4(tid, &status, options, nil); {
		case err == unix.EINTR:
		case err == nil && n == 0:
			return running, nil
		default:
			return status, err
		}
	}
}

func (s *Stepper) look(t testing.TB) {
	t.Helper()
	s.must(t, "read the registers of", unix.PtraceGetRegs(s.tid, &s.regs))
}

func (s *Stepper) must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("proctest: %s thread %d of %s: %v", what, s.tid, s.proc, err)
	}
}
