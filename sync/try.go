package sync

import (
	"context"
	"errors"
)

// ended is the context of those who do not wait.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// succeeded reports whether an operation with the context ended did, and panics
// if it could not be tried.
func succeeded(err error) bool {
	if err != nil && !holds(err) && !errors.Is(err, context.Canceled) {
		panic(err)
	}
	return err == nil
}
