package proc

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Info names a process.
type Info struct {
	Name string // as in Options, or MainProcess
	Pid  int    // process id
}

// An identity is what a child was told about itself.
type identity struct {
	Info
	parent *Info
	depth  int // in how many pools the parent is
}

var (
	self    atomic.Pointer[identity] // nil in a process that a user started
	started atomic.Int64
)

// Current names this process. One that was not started by this package is
// called MainProcess.
func Current() Info {
	if s := self.Load(); s != nil {
		return s.Info
	}
	return Info{Name: "MainProcess", Pid: os.Getpid()}
}

// Parent names the process that started this one. It reports false in a process
// that was not started by this package. While a child runs its parent lives:
// children are killed when their parent ends.
func Parent() (Info, bool) {
	if s := self.Load(); s != nil {
		return *s.parent, true
	}
	return Info{}, false
}

// Children returns the processes that this process started and that have not
// ended, in the order of their start.
func Children() []*Process {
	children.mu.Lock()
	defer children.mu.Unlock()
	return slices.SortedFunc(maps.Keys(children.started), func(a, b *Process) int {
		return children.started[a] - children.started[b]
	})
}

// CPUCount returns the number of processors that this process may use.
func CPUCount() int { return runtime.NumCPU() }

// nextName numbers the children of this process.
func nextName() string {
	n := started.Add(1)
	if s := self.Load(); s != nil {
		return fmt.Sprintf("%s:%d", s.Name, n)
	}
	return fmt.Sprintf("Process-%d", n)
}

// children are those that run.
var children = family{started: make(map[*Process]int)}

type family struct {
	mu      sync.Mutex
	started map[*Process]int // in which order
	count   int
}

func (f *family) add(p *Process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	f.started[p] = f.count
}

func (f *family) remove(p *Process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.started, p)
}
