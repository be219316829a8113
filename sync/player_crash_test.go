//go:build crash

package sync_test

import (
	"fmt"
	"syscall"

	"github.com/go-multiproc/multiproc/internal/probe"
)

// arm carries out the order to arm a step, if it is one.
func arm(order string) bool {
	var point, sig int
	if n, _ := fmt.Sscanf(order, "arm %d %d", &point, &sig); n != 2 {
		return false
	}
	probe.Arm(probe.Point(point), syscall.Signal(sig))
	return true
}

// armFor is the order that has a player hit by sig at its next passage of p.
func armFor(p probe.Point, sig syscall.Signal) string { return fmt.Sprintf("arm %d %d", p, sig) }
