// Package lengths is a solution of exercise 4.1.
package lengths

import (
	"context"
	"unicode/utf8"

	"github.com/go-multiproc/multiproc/proc"
)

var length = proc.Register("length", func(_ context.Context, word string) (int, error) {
	return utf8.RuneCountInString(word), nil
})

// Lengths returns how many letters (runes) each word has, in the order of the words.
// The pool counts them, one task for each word.
func Lengths(ctx context.Context, pool *proc.Pool, words []string) ([]int, error) {
	return length.Map(ctx, pool, words, nil)
}
