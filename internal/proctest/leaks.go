package proctest

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// settle is how long something that is on its way out may take: descriptors
// are closed and children reaped by goroutines that a test cannot wait for.
const settle = 2 * time.Second

// A view is what this process holds outside its own memory, each thing in a
// form that a reader of a failed test understands.
type view map[string]bool

// NoLeaks makes the test fail at its end if the process then holds a
// descriptor, a child process or a name in /dev/shm that it did not hold at the
// time of the call. Call it first, so that it looks after all other clean-ups.
// It is not for parallel tests, which would see each other's descriptors.
func NoLeaks(t testing.TB) {
	t.Helper()
	before := look()
	t.Cleanup(func() {
		for _, leak := range before.leaks() {
			t.Errorf("proctest: %s", leak)
		}
	})
}

// leaks has a complaint for each thing that is there now and was not before.
func (before view) leaks() (complaints []string) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(settle); ; <-tick.C {
		complaints = nil
		for thing := range look() {
			if !before[thing] {
				complaints = append(complaints, "left behind: "+thing)
			}
		}
		if len(complaints) == 0 || time.Now().After(end) {
			slices.Sort(complaints)
			return complaints
		}
	}
}

func look() view {
	v := view{}
	v.addDescriptors()
	v.addChildren()
	v.addNames()
	return v
}

func (v view) addDescriptors() {
	const dir = "/proc/self/fd/"
	for _, e := range list(dir) {
		target, err := os.Readlink(dir + e)
		if err != nil {
			continue // the descriptor of the listing itself
		}
		if !lasting(target) {
			v["descriptor "+e+" -> "+target] = true
		}
	}
}

// lasting reports whether a descriptor stays open for the life of the process
// by design: the poller of the Go runtime, the roster.
func lasting(target string) bool {
	return strings.HasPrefix(target, "anon_inode:[event") ||
		strings.HasPrefix(target, "/dev/shm/multiproc-") ||
		strings.HasPrefix(target, "/memfd:multiproc-roster")
}

// addChildren goes by /proc/PID/stat: "pid (name) state parent ...".
func (v view) addChildren() {
	self := strconv.Itoa(os.Getpid())
	for _, e := range list("/proc") {
		if e[0] < '0' || e[0] > '9' {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e + "/stat")
		if err != nil {
			continue // it has just ended
		}
		name := stat[:bytes.LastIndexByte(stat, ')')+1]
		if f := strings.Fields(string(stat[len(name):])); f[1] == self {
			v[fmt.Sprintf("child process %s, state %s", name, f[0])] = true
		}
	}
}

func (v view) addNames() {
	const dir = "/dev/shm/"
	for _, e := range list(dir) {
		if !strings.HasPrefix(e, "multiproc-") {
			v[dir+e] = true
		}
	}
}

// list returns the names in a directory, none if it cannot be read.
func list(dir string) []string {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer closeAll(f)
	names, _ := f.Readdirnames(-1)
	return names
}
