package hlc_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/shieldmaidens/pleiades/hlc"
)

func Example() {
	wall := hlc.NewManual(time.Unix(1763812345, 0))
	opts := wall.Options()
	opts.Bound = &memBound{} // a disk
	clock, err := hlc.NewClock(opts)
	if err != nil {
		fmt.Println(err)
		return
	}
	first, _ := clock.Now()
	second, _ := clock.Now()
	fmt.Println(first, second)

	_, err = clock.Update(hlc.FromTime(wall.Now().Add(time.Minute)))
	fmt.Println("a minute ahead:", errors.Is(err, hlc.ErrClockOffset))

	// kill -9, and a new process on the same disk.
	clock, err = hlc.NewClock(opts)
	if err != nil {
		fmt.Println(err)
		return
	}
	third, _ := clock.Now()
	fmt.Println(third, second.Less(third), clock.Close())
	// Output:
	// 1763812345.000000000,0 1763812345.000000000,1
	// a minute ahead: true
	// 1763812345.250000000,0 true <nil>
}
