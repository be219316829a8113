// Package letters is exercise 2.2: hold the lock seldom.
package letters

import (
	"context"
	"errors"

	"github.com/go-multiproc/multiproc/shm"
)

// Count counts the letters from a to z in the texts, and adds what it finds to
// counts, which has 26 elements. Each text is the work of a process of its own, and
// all of them begin before the first one has ended.
//
// A process that takes the array's lock for each letter gets in the way of all
// others. Here each of them takes it once.
func Count(ctx context.Context, counts *shm.Array[int64], texts []string) error {
	return errors.New("not solved yet")
}
