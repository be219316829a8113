// Package progress shows on a terminal how far calls of a pool have come: a bar
// for each call, drawn by github.com/vbauerster/mpb.
//
//	bars := progress.New(os.Stderr)
//	defer bars.Close()
//	roots, err := root.Map(ctx, pool, numbers, &proc.MapOptions{Progress: bars.Bar("roots")})
//
// It is a module of its own, so that a program that wants no bars needs nothing
// of it.
package progress

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/go-multiproc/multiproc/proc"
)

// Bars are the bars of one terminal, one below the other. Their methods may be
// called by several goroutines.
type Bars struct {
	container *mpb.Progress

	mu   sync.Mutex
	bars []*mpb.Bar
}

// New returns a place for bars, which the caller must close. If w is no terminal,
// nothing is shown.
func New(w io.Writer) *Bars { return &Bars{container: mpb.New(mpb.WithOutput(w))} }

// Bar adds a bar, and returns what draws it: it belongs into the options of one
// call. The bar shows the name, how many inputs have their outcome, of how many,
// and which time that leaves. It stays empty while nobody knows how many there
// will be. After Close nothing is drawn.
func (b *Bars) Bar(name string) func(proc.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	began := time.Now()
	var took atomic.Int64 // when all was done; the bar is drawn until Close
	bar, err := b.container.Add(0, mpb.BarStyle().Build(),
		mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(func(s decor.Statistics) string {
			if t := took.Load(); t > 0 {
				return describe(s.Current, s.Total, time.Duration(t))
			}
			return describe(s.Current, s.Total, time.Since(began))
		})),
	)
	if err != nil { // closed
		return func(proc.Progress) {}
	}
	b.bars = append(b.bars, bar)
	return func(p proc.Progress) {
		if p.Total >= 0 {
			bar.SetTotal(int64(p.Total), false)
		}
		bar.SetCurrent(int64(p.Done))
		if p.Done == p.Total {
			took.Store(int64(time.Since(began)))
		}
	}
}

// Close draws all bars for a last time. Those of calls that have failed stay as
// they are then.
func (b *Bars) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, bar := range b.bars {
		bar.Abort(false)
	}
	b.container.Wait()
}

// describe puts into words how far a call has come. A total of 0 is not known.
func describe(done, total int64, took time.Duration) string {
	switch {
	case total <= 0:
		return fmt.Sprintf("%d, %v", done, took.Round(time.Second))
	case done == 0:
		return fmt.Sprintf("0 of %d", total)
	case done >= total:
		return fmt.Sprintf("%d of %d, %v", done, total, took.Round(time.Second))
	}
	left := time.Duration(float64(took) * float64(total-done) / float64(done))
	return fmt.Sprintf("%d of %d, %v left", done, total, left.Round(time.Second))
}
