package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

var idleTask = proc.RegisterTask("idle", func(ctx context.Context, here *shm.Value[gate]) error {
	here.Ptr().meet(1)
	<-ctx.Done()
	return nil
})

// memory is what /proc/PID/smaps_rollup says about one process, in MB.
type memory struct{ resident, proportional float64 }

// idleSubject: what a process costs that only waits.
func idleSubject(p *programs) (*subject, error) {
	var ours, plain, fork, spawn memory
	s := &subject{
		Title:  "The memory of an idle child",
		Unit:   "MB",
		Method: "Start a child, wait until it runs and has nothing to do, and read /proc/PID/smaps_rollup. Resident counts every page that the child has mapped, the program's own text included, which it shares with its parent; proportional counts a page that n processes share as one n-th. \"Plain Go child\" is this same program, waiting in main without the library.",
		Rounds: 5,
	}
	add := func(name, absent string, m *memory, run func(context.Context) (memory, error)) {
		s.Contenders = append(s.Contenders,
			&contender{Name: name + ", resident", Absent: absent, run: func(ctx context.Context) (_ []float64, err error) {
				*m, err = run(ctx)
				return []float64{m.resident}, err
			}},
			&contender{Name: name + ", proportional", Absent: absent, run: func(context.Context) ([]float64, error) {
				return []float64{m.proportional}, nil
			}})
	}
	python := func(method string) (string, func(context.Context) (memory, error)) {
		c := p.py("", "idle.py", method)
		return c.Absent, func(ctx context.Context) (memory, error) {
			kilobytes, err := c.run(ctx)
			if err != nil {
				return memory{}, err
			}
			return memory{kilobytes[0] * 1024 / 1e6, kilobytes[1] * 1024 / 1e6}, nil
		}
	}
	add("multiproc child", "", &ours, idleChild)
	add("plain Go child", "", &plain, idlePlain)
	absent, run := python("fork")
	add("CPython fork", absent, &fork, run)
	absent, run = python("spawn")
	add("CPython spawn", absent, &spawn, run)
	s.Targets = []target{atMost("multiproc child, resident", 8, "")}
	return s, nil
}

func idleChild(ctx context.Context) (m memory, err error) {
	here, err := shm.NewValue(gate{}, &shm.Options{NoLock: true})
	if err != nil {
		return m, err
	}
	defer func() { _ = here.Close() }() // open until here: it cannot fail
	p, err := idleTask.Start(ctx, here, nil)
	if err != nil {
		return m, err
	}
	if err := here.Ptr().await(ctx, 1, p.Process); err != nil {
		return m, err
	}
	m, err = memoryOf(p.Pid())
	p.Kill()
	<-p.Done()
	return m, err
}

func idlePlain(context.Context) (m memory, err error) {
	stdin, end, err := os.Pipe()
	if err != nil {
		return m, err
	}
	says, stdout, err := os.Pipe()
	if err != nil {
		return m, err
	}
	defer says.Close()
	p, err := os.StartProcess("/proc/self/exe", []string{plainIdle}, &os.ProcAttr{Files: []*os.File{stdin, stdout, os.Stderr}})
	_, _ = stdin.Close(), stdout.Close() // the child has its own
	if err != nil {
		_ = end.Close() // the error at hand says more
		return m, err
	}
	if _, err = bufio.NewReader(says).ReadString('\n'); err == nil {
		m, err = memoryOf(p.Pid)
	}
	_ = end.Close() // which ends the child
	if _, waitErr := p.Wait(); err == nil {
		err = waitErr
	}
	return m, err
}

// memoryOf reads what the kernel has summed up.
func memoryOf(pid int) (m memory, err error) {
	name := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	text, err := os.ReadFile(name)
	if err != nil {
		return m, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[2] != "kB" {
			continue
		}
		kilobytes, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			return m, fmt.Errorf("%s: %w", name, err)
		}
		switch fields[0] {
		case "Rss:":
			m.resident = kilobytes * 1024 / 1e6
		case "Pss:":
			m.proportional = kilobytes * 1024 / 1e6
		}
	}
	if m.resident == 0 {
		return m, fmt.Errorf("%s has no line Rss", name)
	}
	return m, nil
}
