// Package letters is a solution of exercise 2.2.
package letters

import (
	"context"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// A Job is what a process is given.
type Job struct {
	Text   string
	Counts *shm.Array[int64]
}

var count = proc.RegisterTask("count", func(ctx context.Context, job Job) error {
	var own [26]int64 // nobody else sees these
	for _, letter := range []byte(job.Text) {
		if 'a' <= letter && letter <= 'z' {
			own[letter-'a']++
		}
	}
	return job.Counts.DoContext(ctx, func(counts []int64) {
		for i, n := range own {
			counts[i] += n
		}
	})
})

// Count counts the letters from a to z in the texts, and adds what it finds to
// counts, which has 26 elements. Each text is the work of a process of its own, and
// all of them begin before the first one has ended.
//
// A process that takes the array's lock for each letter gets in the way of all
// others. Here each of them takes it once.
func Count(ctx context.Context, counts *shm.Array[int64], texts []string) error {
	var processes []*proc.Process
	for _, text := range texts {
		p, err := count.Start(ctx, Job{text, counts}, nil)
		if err != nil {
			return err
		}
		processes = append(processes, p.Process)
	}
	for _, p := range processes {
		if err := p.Join(ctx); err != nil {
			return err
		}
	}
	return nil
}
