// Mandelbrot: two worker processes draw one picture, in one piece of shared
// memory. Nothing of it is copied: each part of the rows is drawn where it
// belongs.
package main

import (
	"context"
	"fmt"
	"hash/crc32"
	"log"
	"math/bits"
	"strings"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

const (
	width, height = 1200, 800
	most          = 255 // iterations
)

// draw draws the rows of its part. Parts do not overlap, so nobody needs a lock.
var draw = proc.RegisterTask("draw", func(ctx context.Context, rows proc.Part[*shm.Array[uint8]]) error {
	picture := rows.Arg.View()
	for row := rows.Low; row < rows.High && ctx.Err() == nil; row++ {
		for column := range width {
			picture[row*width+column] = escape(3*float64(column)/width-2, 2*float64(row)/height-1)
		}
	}
	return ctx.Err()
})

// escape returns after how many steps z*z+c leaves the circle. Each product is
// rounded by itself, so that the picture is the same on all processors.
func escape(cx, cy float64) (steps uint8) {
	x, y := cx, cy
	for ; steps < most; steps++ {
		xx, yy, xy := float64(x*x), float64(y*y), float64(x*y)
		if xx+yy > 4 {
			break
		}
		x, y = xx-yy+cx, xy+xy+cy
	}
	return steps
}

func main() {
	proc.Main()

	ctx := context.Background()
	picture, err := shm.NewArray[uint8](width*height, &shm.Options{NoLock: true})
	check(err)
	pool, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: 2})
	check(err)

	// Rows through the middle take long, those at the edge do not: small parts,
	// handed out one after another, keep both workers busy to the end.
	check(proc.For(ctx, pool, height, draw, picture, &proc.ForOptions{Schedule: proc.Dynamic, Chunk: 20}))
	check(pool.Close())

	show(picture.View())
	check(picture.Close())
}

// show prints a small copy of the picture.
func show(picture []uint8) {
	var small strings.Builder
	for y := 0; y < height; y += 40 {
		for x := 0; x < width; x += 20 {
			small.WriteByte(" .:-=+*#@"[bits.Len8(picture[y*width+x])])
		}
		small.WriteByte('\n')
	}
	fmt.Print(&small)
	fmt.Printf("%d x %d points, checksum %08x\n", width, height, crc32.ChecksumIEEE(picture))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
