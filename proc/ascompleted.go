package proc

import (
	"context"
	"iter"
)

// AsCompleted gives the futures in the order in which they get their results,
// each once: first those that have theirs when the loop begins, in the order
// given. It ends early when ctx does. To wait for all of them, or for the first
// one that fails, is a loop over it.
//
// It panics if one of them does not come from Submit.
func AsCompleted[R any](ctx context.Context, futures ...*Future[R]) iter.Seq[*Future[R]] {
	return func(yield func(*Future[R]) bool) {
		var done, waiting []*Future[R]
		seen := make(map[*Future[R]]bool)
		for _, f := range futures {
			if f == nil || f.done == nil {
				panic("proc: AsCompleted of a Future that does not come from Submit")
			}
			if seen[f] {
				continue
			}
			seen[f] = true
			select {
			case <-f.done:
				done = append(done, f)
			default:
				waiting = append(waiting, f)
			}
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for _, f := range done {
			if ctx.Err() != nil || !yield(f) {
				return
			}
		}
		completed := make(chan *Future[R])
		for _, f := range waiting {
			go func() {
				select {
				case <-f.done:
				case <-ctx.Done():
					return
				}
				select {
				case completed <- f:
				case <-ctx.Done():
				}
			}()
		}
		for range waiting {
			select {
			case f := <-completed:
				if !yield(f) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}
