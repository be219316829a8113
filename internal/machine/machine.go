// Package machine describes what a run depends on besides the code, for the head
// of a document that was written by it.
package machine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// A Machine is the hardware, the system and the commit of a run.
type Machine struct {
	CPU      string
	CPUs     int
	MemoryGB float64
	Kernel   string
	Go       string
	Commit   string // with -dirty if the work tree has other changes than documents
	Load     string // the load averages before the run: of an idle machine near 0
}

// Describe looks at this machine. What cannot be found out is "unknown" or empty.
func Describe(ctx context.Context) Machine {
	m := Machine{CPU: "unknown", CPUs: runtime.NumCPU(), Go: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH, Commit: "unknown"}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.MemoryGB = float64(info.Totalram) * float64(info.Unit) / 1e9
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = "Linux " + unix.ByteSliceToString(name.Release[:])
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load = strings.Join(strings.Fields(string(text))[:3], " ")
	}
	if out, err := exec.CommandContext(ctx, "git", "describe", "--always").Output(); err == nil {
		m.Commit = strings.TrimSpace(string(out))
		if changes, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--", ":/", ":(top,exclude)docs/*.md", ":(top,exclude)docs/*.json").Output(); err != nil || len(changes) > 0 {
			m.Commit += "-dirty"
		}
	}
	return m
}

// String describes the hardware.
func (m Machine) String() string {
	return fmt.Sprintf("%s, %d CPUs, %.0f GB", m.CPU, m.CPUs, m.MemoryGB)
}
