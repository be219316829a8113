//go:build !stress

package sync_test

// How large the crowd is.
const (
	crowdProcesses  = 3
	crowdGoroutines = 1000
	crowdTurns      = 20_000
)
