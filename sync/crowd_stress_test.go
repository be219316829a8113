//go:build stress

package sync_test

// How large the crowd is.
const (
	crowdProcesses  = 4
	crowdGoroutines = 4000
	crowdTurns      = 3_000_000
)
