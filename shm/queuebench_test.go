package shm

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func BenchmarkQueue(b *testing.B) {
	ctx := context.Background()
	consume := func(q *Queue[int64], batch, n int) <-chan error {
		done := make(chan error, 1)
		go func() {
			items := make([]int64, batch)
			for got := 0; got < n; {
				k, err := q.GetUpTo(ctx, items)
				if err != nil {
					done <- err
					return
				}
				got += k
			}
			done <- nil
		}()
		return done
	}
	b.Run("alone", func(b *testing.B) {
		q := testQueue[int64](b, 1024, nil)
		for i := range b.N {
			must(b, q.Put(ctx, int64(i)))
			_, err := q.Get(ctx)
			must(b, err)
		}
	})
	b.Run("text", func(b *testing.B) {
		q := testQueue[string](b, 1024, nil)
		for range b.N {
			must(b, q.Put(ctx, "a text of some bytes"))
			_, err := q.Get(ctx)
			must(b, err)
		}
	})
	b.Run("one by one", func(b *testing.B) {
		q := testQueue[int64](b, 1024, nil)
		done := consume(q, 1, b.N)
		for i := range b.N {
			must(b, q.Put(ctx, int64(i)))
		}
		require.NoError(b, <-done)
	})
	b.Run("batches of 64", func(b *testing.B) {
		q := testQueue[int64](b, 1024, nil)
		done := consume(q, 64, b.N)
		items := make([]int64, 64)
		for i := 0; i < b.N; i += len(items) {
			_, err := q.PutAll(ctx, items[:min(len(items), b.N-i)])
			require.NoError(b, err)
		}
		require.NoError(b, <-done)
	})
}

// must is what require.NoError would be if it cost nothing.
func must(b *testing.B, err error) {
	if err != nil {
		b.Fatal(err)
	}
}
