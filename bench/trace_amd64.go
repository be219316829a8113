package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// countPath runs a program that marks four places (path.go), steps through its two
// parts, and returns what one pair executes. Nothing but ptrace is needed for
// that, which may be forbidden in a container.
//
// The Go runtime may come in between. So it is counted again until the smallest
// count of each part has come up three times.
func countPath(program string, argv ...string) (path, error) {
	var least [2]path
	var times [2]int // that the least came up
	for n := 0; n < countsMost && min(times[0], times[1]) < 3; n++ {
		parts, err := tracePath(program, argv)
		if err != nil {
			return path{}, fmt.Errorf("count the instructions of %v: %w", argv, err)
		}
		for i, p := range parts {
			if times[i] == 0 || p.Instructions < least[i].Instructions {
				least[i], times[i] = p, 0
			}
			if p == least[i] {
				times[i]++
			}
		}
	}
	return path{least[1].Instructions - least[0].Instructions, least[1].Locked - least[0].Locked}, nil
}

// countsMost is how often a path is counted at most.
const countsMost = 100

// tracePath counts the two parts once.
func tracePath(program string, argv []string) (parts [2]path, err error) {
	runtime.LockOSThread() // the kernel takes ptrace calls only from the thread that began
	defer runtime.UnlockOSThread()
	child, err := os.StartProcess(program, argv, &os.ProcAttr{
		Files: []*os.File{nil, nil, os.Stderr},
		Sys:   &unix.SysProcAttr{Ptrace: true},
	})
	if err != nil {
		return parts, err
	}
	t := tracee{pid: child.Pid, locked: map[uint64]bool{}}
	defer func() {
		err = errors.Join(err, child.Kill())
		_, _ = child.Wait() // killed
	}()
	if err := t.begin(); err != nil {
		return parts, err
	}
	for i := range parts {
		if err := t.skipToMark(); err != nil {
			return parts, err
		}
		if parts[i], err = t.toMark(); err != nil {
			return parts, err
		}
	}
	return parts, nil
}

// A tracee is the first thread of a program that is stepped through.
type tracee struct {
	pid    int
	locked map[uint64]bool // by the address of the instruction
}

// begin brings it to the end of its exec.
func (t *tracee) begin() error {
	if _, err := t.wait(); err != nil {
		return err
	}
	if err := unix.PtraceSetOptions(t.pid, unix.PTRACE_O_EXITKILL); err != nil {
		return fmt.Errorf("ptrace options: %w", err)
	}
	return nil
}

// skipToMark lets it run up to the next mark.
func (t *tracee) skipToMark() (err error) {
	for signal := unix.Signal(0); signal != unix.SIGSTOP; {
		if err := unix.PtraceCont(t.pid, int(signal)); err != nil {
			return fmt.Errorf("ptrace continue: %w", err)
		}
		if signal, err = t.wait(); err != nil {
			return err
		}
	}
	return nil
}

// toMark counts what is executed up to the next mark. Other signals are kept from
// the thread: the Go runtime's are requests to let others run.
func (t *tracee) toMark() (p path, err error) {
	for {
		locked, err := t.nextLocked()
		if err != nil {
			return p, err
		}
		if err := unix.PtraceSingleStep(t.pid); err != nil {
			return p, fmt.Errorf("ptrace step: %w", err)
		}
		switch signal, err := t.wait(); {
		case err != nil:
			return p, err
		case signal == unix.SIGSTOP:
			return p, nil
		case signal == unix.SIGTRAP:
			p.Instructions++
			if locked {
				p.Locked++
			}
		}
	}
}

// wait returns the signal with which the thread stops.
func (t *tracee) wait() (unix.Signal, error) {
	var status unix.WaitStatus
	for {
		switch _, err := unix.Wait4(t.pid, &status, 0, nil); {
		case err == unix.EINTR:
		case err != nil:
			return 0, fmt.Errorf("wait for process %d: %w", t.pid, err)
		case !status.Stopped():
			return 0, fmt.Errorf("process %d ended before its last mark, status %#x", t.pid, status)
		default:
			return status.StopSignal(), nil
		}
	}
}

// nextLocked reports whether the next instruction is a locked one.
func (t *tracee) nextLocked() (bool, error) {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(t.pid, &regs); err != nil {
		return false, fmt.Errorf("ptrace registers: %w", err)
	}
	locked, known := t.locked[regs.Rip]
	if !known {
		var code [16]byte // an instruction has 15 at most
		if _, err := unix.PtracePeekText(t.pid, uintptr(regs.Rip), code[:]); err != nil {
			return false, fmt.Errorf("ptrace read: %w", err)
		}
		locked = isLocked(code[:])
		t.locked[regs.Rip] = locked
	}
	return locked, nil
}

// isLocked goes by the prefixes of an instruction: LOCK is one of them. XCHG with
// memory is locked without it.
func isLocked(code []byte) bool {
	for i, b := range code {
		switch {
		case b == 0xf0: // LOCK
			return true
		case b == 0x66, b == 0x67, b == 0xf2, b == 0xf3, b == 0x2e, b == 0x36, b == 0x3e, b == 0x26, b == 0x64, b == 0x65, b&0xf0 == 0x40:
			// another prefix, REX the last of them
		default: // the operation
			return (b == 0x86 || b == 0x87) && i+1 < len(code) && code[i+1]>>6 != 3
		}
	}
	return false
}
