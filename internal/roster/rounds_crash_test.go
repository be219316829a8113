//go:build crash

package roster

// How often the tests repeat what depends on chance.
const (
	rounds     = 30
	reapRounds = 200
)
