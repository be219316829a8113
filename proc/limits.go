package proc

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Limits bound what a process may take of the machine. Zero means what this
// process may.
type Limits struct {
	// Memory is how many bytes of private memory the process may have: its heap,
	// stacks and data (RLIMIT_DATA). An allocation beyond it ends the process,
	// in one of the ways in which the Go runtime dies without memory; a single
	// large one may pass, and then the next one does not. The garbage collector
	// works harder from nine tenths on. A worker that has nothing to do has 70 to 80
	// MB by this measure: with less than 128 MB it may die at any moment. Shared
	// memory does not count.
	Memory int64

	// CPU is how much processor time the process may use, in whole seconds,
	// rounded up. Then it is killed by SIGKILL.
	CPU time.Duration

	// Files is how many descriptors the process may have.
	Files int

	// Nice is added to the process's nice value, of which the largest is 19.
	Nice int
}

// apply sets the limits for this process.
func (l Limits) apply() error {
	set := func(what string, resource int, value uint64) error {
		var limit unix.Rlimit
		if err := unix.Getrlimit(resource, &limit); err != nil {
			return err
		}
		limit.Cur = min(value, limit.Max)
		limit.Max = limit.Cur
		if err := unix.Setrlimit(resource, &limit); err != nil {
			return fmt.Errorf("limit %s to %d: %w", what, value, err)
		}
		return nil
	}
	if l.Memory > 0 {
		debug.SetMemoryLimit(l.Memory / 10 * 9)
		if err := set("memory", unix.RLIMIT_DATA, uint64(l.Memory)); err != nil {
			return err
		}
	}
	if l.CPU > 0 {
		if err := set("processor time", unix.RLIMIT_CPU, uint64((l.CPU+time.Second-1)/time.Second)); err != nil {
			return err
		}
	}
	if l.Files > 0 {
		if err := set("descriptors", unix.RLIMIT_NOFILE, uint64(l.Files)); err != nil {
			return err
		}
	}
	if l.Nice != 0 {
		before, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
		if err != nil {
			return err
		}
		nice := min(20-before+l.Nice, 19) // the system call returns 20 minus the nice value
		return eachThread(func(tid int) error { return unix.Setpriority(unix.PRIO_PROCESS, tid, nice) })
	}
	return nil
}

// pin binds this process to one of the processors that it may use: the index-th,
// counted round.
func pin(index int) error {
	var may unix.CPUSet
	if err := unix.SchedGetaffinity(0, &may); err != nil {
		return err
	}
	left := index % may.Count()
	for cpu := 0; ; cpu++ {
		if !may.IsSet(cpu) {
			continue
		}
		if left == 0 {
			var one unix.CPUSet
			one.Set(cpu)
			return eachThread(func(tid int) error { return unix.SchedSetaffinity(tid, &one) })
		}
		left--
	}
}

// eachThread calls set once for each thread of this process. Those that begin
// later have what the one has that begins them; so it goes on until it finds
// none that is new.
func eachThread(set func(tid int) error) error {
	done := make(map[string]bool)
	for found := true; found; {
		found = false
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, thread := range threads {
			if done[thread.Name()] {
				continue
			}
			done[thread.Name()], found = true, true
			tid, err := strconv.Atoi(thread.Name())
			if err != nil {
				return err
			}
			if err := set(tid); err != nil && err != unix.ESRCH {
				return err
			}
		}
	}
	return nil
}

// residentSize returns how many bytes of memory this process has resident.
func residentSize() (int64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0, err
	}
	return resident * int64(os.Getpagesize()), nil
}
