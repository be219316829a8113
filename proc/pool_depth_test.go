package proc_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// A burrow is how deep burrowing has come, and whether this is a task or a process
// of Start.
type burrow struct {
	Level  int
	InTask bool
}

// dig is nest with a process of Start between each task and the pool that it makes.
var dig = proc.Register("dig", func(ctx context.Context, b burrow) (int, error) {
	if b.InTask {
		b.InTask = false
		return digAgain.inProcess(ctx, b)
	}
	p, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: 1, Depth: 2})
	if errors.Is(err, proc.ErrTooDeep) || b.Level > 4 {
		return b.Level, nil
	}
	if err != nil {
		return 0, err
	}
	level, err := digAgain.inPool(ctx, p, burrow{b.Level + 1, true})
	return level, errors.Join(err, p.Close())
})

// digAgain stands for a function that refers to itself.
var digAgain struct {
	inProcess func(context.Context, burrow) (int, error)
	inPool    func(context.Context, *proc.Pool, burrow) (int, error)
}

func init() {
	digAgain.inProcess = func(ctx context.Context, b burrow) (int, error) {
		c, err := dig.Start(ctx, b, nil)
		if err != nil {
			return 0, err
		}
		return c.Result(ctx)
	}
	digAgain.inPool = func(ctx context.Context, p *proc.Pool, b burrow) (int, error) {
		return dig.Submit(ctx, p, b).Get(ctx)
	}
}

// A process of Start between two pools does not make the inner one the first.
func TestNestedPoolsThroughStart(t *testing.T) {
	proctest.NoLeaks(t)
	require.Equal(t, 2, result(t, dig, burrow{}))
}
