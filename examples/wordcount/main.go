// Wordcount: four processes count the words in the comments of Go's own library.
// They share one queue of files: who is done with one takes the next, so nobody
// is idle while another has much to do.
package main

import (
	"context"
	"fmt"
	"log"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

const workers = 4

// count adds up the words in the comments of one file.
func count(file string, words map[string]int) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if comment, ok := strings.CutPrefix(strings.TrimSpace(line), "//"); ok {
			for word := range strings.FieldsSeq(comment) {
				words[word]++
			}
		}
	}
	return nil
}

var counter = proc.Register("counter", func(ctx context.Context, files *shm.Queue[string]) (map[string]int, error) {
	words := map[string]int{}
	for file, err := range files.All(ctx) { // until the queue is closed and empty
		if err == nil {
			err = count(file, words)
		}
		if err != nil {
			return nil, err
		}
	}
	return words, nil
})

func main() {
	proc.Main()

	ctx := context.Background()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	check(err)
	names, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(root)), "src/*/*.go"))
	check(err)

	files, err := shm.NewQueue[string](len(names), nil)
	check(err)
	_, err = files.PutAll(ctx, names)
	check(err)
	check(files.Close()) // nothing more will come; what is in it can be taken

	var counters []*proc.Call[map[string]int]
	for range workers {
		c, err := counter.Start(ctx, files, nil)
		check(err)
		counters = append(counters, c)
	}
	together := map[string]int{}
	for _, c := range counters {
		words, err := c.Result(ctx)
		check(err)
		for word, n := range words {
			together[word] += n
		}
	}
	check(files.Detach())

	alone := map[string]int{}
	for _, name := range names {
		check(count(name, alone))
	}
	fmt.Println("four processes and one come to the same:", maps.Equal(together, alone))
	fmt.Printf("the most frequent word is %q\n", mostFrequent(together))
}

func mostFrequent(words map[string]int) (most string) {
	for word, n := range words {
		if n > words[most] {
			most = word
		}
	}
	return most
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
