package shm

import (
	"context"
	"testing"
)

func BenchmarkPipe(b *testing.B) {
	ctx := context.Background()
	x, y := testPipe[int64](b, &PipeOptions{Capacity: 4096})
	b.Run("self", func(b *testing.B) {
		for i := range b.N {
			_ = x.Send(ctx, int64(i))
			_, _ = y.Recv(ctx)
		}
	})
	b.Run("1p1c", func(b *testing.B) {
		done := make(chan bool)
		go func() {
			for range b.N {
				_, _ = y.Recv(ctx)
			}
			close(done)
		}()
		for i := range b.N {
			_ = x.Send(ctx, int64(i))
		}
		<-done
	})
	b.Run("pingpong", func(b *testing.B) {
		done := make(chan bool)
		go func() {
			for range b.N {
				v, _ := y.Recv(ctx)
				_ = y.Send(ctx, v)
			}
			close(done)
		}()
		for i := range b.N {
			_ = x.Send(ctx, int64(i))
			_, _ = x.Recv(ctx)
		}
		<-done
	})
}
