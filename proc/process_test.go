package proc_test

import (
	"context"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// A card is what a process knows of itself.
type card struct {
	Current, Parent proc.Info
	HasParent       bool
	Pid, Ppid       int
	Children        []string
	CPUs            int
}

func ownCard() card {
	c := card{Current: proc.Current(), Pid: os.Getpid(), Ppid: os.Getppid(), CPUs: proc.CPUCount()}
	c.Parent, c.HasParent = proc.Parent()
	for _, p := range proc.Children() {
		c.Children = append(c.Children, p.Name())
	}
	return c
}

var present = proc.Register("present", func(context.Context, struct{}) (card, error) { return ownCard(), nil })

// Python: _TestProcess.test_current — differs: there are no keys and no daemon flag
func TestCurrent(t *testing.T) {
	require.Equal(t, proc.Info{Name: "MainProcess", Pid: os.Getpid()}, proc.Current())
	_, ok := proc.Parent()
	require.False(t, ok)
}

// Python: _TestProcess.test_parent_process_attributes
// Python: _TestProcess.test_parent_process — differs: a child cannot see its parent dead, it is killed with it
func TestCurrentInChild(t *testing.T) {
	proctest.NoLeaks(t)
	other := start(t, idle, struct{}{}, nil) // the child does not know of it
	c := start(t, present, struct{}{}, &proc.Options{Name: "visitor"})
	got, err := c.Result(t.Context())
	require.NoError(t, err)
	require.Equal(t, card{
		Current: proc.Info{Name: "visitor", Pid: c.Pid()}, Parent: proc.Current(), HasParent: true,
		Pid: c.Pid(), Ppid: os.Getpid(), CPUs: proc.CPUCount(),
	}, got)
	require.True(t, other.Alive())
}

// Python: _TestProcess.test_process — differs: a process is there once Start returns; it has no state before
func TestProcess(t *testing.T) {
	proctest.NoLeaks(t)
	require.Empty(t, proc.Children())
	x := newExchange(t)
	c := start(t, answerLines, x.addr, &proc.Options{Name: "listed"})
	require.Equal(t, "listed", c.Name())
	require.NotEqual(t, os.Getpid(), c.Pid())
	require.True(t, c.Alive())
	require.Regexp(t, `^listed \(pid \d+, running\)$`, c.String())
	_, ended := c.ExitCode()
	require.False(t, ended)
	require.Equal(t, []*proc.Process{c.Process}, proc.Children())

	x.answer(t).say(t, "end")
	require.NoError(t, c.Join(t.Context()))
	require.False(t, c.Alive())
	require.Equal(t, 0, exitCode(t, c.Process))
	require.Regexp(t, `^listed \(pid \d+, ended with code 0\)$`, c.String())
	require.Empty(t, proc.Children())
}

// answerLines repeats what it is told, until that is "end".
var answerLines = proc.RegisterTask("answer lines", func(_ context.Context, addr string) error {
	p, err := call(addr)
	for line := ""; err == nil; {
		if line, err = p.listen(); line == "end" {
			return nil
		}
		if err == nil {
			err = p.tell(line)
		}
	}
	return err
})

// Python: _TestProcess.test_cpu_count
func TestCPUCount(t *testing.T) {
	require.Equal(t, runtime.NumCPU(), proc.CPUCount())
	var set unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &set))
	require.Equal(t, set.Count(), proc.CPUCount(), "as many as this process may use")
}

// Python: _TestProcess.test_active_children
func TestChildrenInOrderOfStart(t *testing.T) {
	proctest.NoLeaks(t)
	var all []*proc.Process
	for range 5 {
		all = append(all, start(t, idle, struct{}{}, nil).Process)
		require.Equal(t, all, proc.Children())
	}
	all[2].Kill()
	<-all[2].Done()
	require.Equal(t, []*proc.Process{all[0], all[1], all[3], all[4]}, proc.Children())
	for _, p := range all {
		p.Kill()
		<-p.Done()
	}
	require.Empty(t, proc.Children())
}

// The same function started twice is two processes.
func TestStartTwice(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := start(t, present, struct{}{}, nil), start(t, present, struct{}{}, nil)
	require.NotEqual(t, a.Pid(), b.Pid())
	require.NotEqual(t, a.Name(), b.Name())
	for _, c := range []*proc.Call[card]{a, b} {
		got, err := c.Result(t.Context())
		require.NoError(t, err)
		require.Equal(t, c.Pid(), got.Pid)
		require.Equal(t, c.Name(), got.Current.Name)
	}
}

// What ps and top show says what the process is for.
func TestNameForPeople(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	c := start(t, answerLines, x.addr, &proc.Options{Name: "shown"})
	p := x.answer(t)
	require.Equal(t, "mp:answer lines\n", comm(c.Pid()))
	cmdline, err := os.ReadFile("/proc/" + itoa(c.Pid()) + "/cmdline")
	require.NoError(t, err)
	require.Contains(t, string(cmdline), ": answer lines (shown)")
	p.say(t, "end")

	newPool(t, &proc.PoolOptions{Workers: 1})
	require.Equal(t, "mp:worker 0\n", comm(proc.Children()[0].Pid()))
}
