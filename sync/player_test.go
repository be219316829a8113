package sync_test

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// play is the body of a helper that does with a scene what it is told, one order
// after the other and all on one goroutine, and says how each went. Five orders
// are the same for every scene:
//
//	cancel      ends the context of the order that is being carried out
//	arm P SIG   the next passage of step P ends or stops the helper; it says ok
//	quit        the helper ends in an orderly way
//	half die    see halfKill
//	exec        the helper replaces its program by another, and so its process dies
func play[S any](act func(ctx context.Context, s *S, order string) (outcome string)) func(*proctest.Helper) error {
	return func(h *proctest.Helper) error {
		s, err := enter[S](h)
		if err != nil {
			return err
		}
		type task struct {
			order  string
			ctx    context.Context
			cancel context.CancelFunc
		}
		tasks := make(chan task, 16)
		go func() {
			for t := range tasks {
				h.Say(outcomeOf(func() string { return act(t.ctx, s, t.order) }))
				t.cancel()
			}
		}()
		cancel := func() {}
		for {
			order, err := h.Listen()
			if err != nil {
				return err
			}
			switch {
			case order == "cancel":
				cancel()
			case order == "quit":
				os.Exit(0)
			case order == "half die":
				halfDie(h)
			case order == "exec":
				return syscall.Exec("/bin/cat", []string{"cat"}, nil)
			case arm(order):
				h.Say("ok")
			default:
				t := task{order: order}
				t.ctx, t.cancel = context.WithCancel(context.Background())
				cancel = t.cancel
				tasks <- t
			}
		}
	}
}

// outcomeOf turns a panic into an outcome.
func outcomeOf(f func() string) (outcome string) {
	defer func() {
		if v := recover(); v != nil {
			outcome = fmt.Sprintf("panic %v", v)
		}
	}()
	return f()
}
