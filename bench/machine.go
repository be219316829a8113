package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// A machine is what the figures depend on besides the code.
type machine struct {
	CPU      string
	CPUs     int
	MemoryGB float64
	Kernel   string
	Go       string
	Commit   string
	Load     string   // the load averages before the run: of an idle machine near 0
	Versions []string // of the peers
}

func describeMachine(ctx context.Context) machine {
	m := machine{CPU: "unknown", CPUs: runtime.NumCPU(), Go: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH}
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
	m.Commit = firstLine(ctx, "git", "describe", "--always", "--dirty")
	if m.Commit == "" {
		m.Commit = "unknown"
	}
	return m
}

// String describes the hardware.
func (m machine) String() string {
	return fmt.Sprintf("%s, %d CPUs, %.0f GB", m.CPU, m.CPUs, m.MemoryGB)
}
