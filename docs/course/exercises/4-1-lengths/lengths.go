// Package lengths is exercise 4.1: the results in the order of the inputs.
package lengths

import (
	"context"
	"errors"

	"github.com/go-multiproc/multiproc/proc"
)

// Lengths returns how many letters (runes) each word has, in the order of the words.
// The pool counts them, one task for each word.
func Lengths(ctx context.Context, pool *proc.Pool, words []string) ([]int, error) {
	return nil, errors.New("not solved yet")
}
