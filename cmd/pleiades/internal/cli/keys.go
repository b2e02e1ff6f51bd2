package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/bytearg"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/keys"
)

func (a *App) keysGroup() *cobra.Command {
	cmd := &cobra.Command{
		Use: "keys", Short: "Explain stored keys",
		Example: lines("ldb --db=data --column_family=1001 scan --hex | pleiades keys decode -"),
	}
	cmd.AddCommand(a.keysDecode())
	return cmd
}

func (a *App) keysDecode() *cobra.Command {
	return &cobra.Command{
		Use:   "decode KEY...|-",
		Short: "Explain stored keys, as ldb shows them",
		Long: `Explain stored keys: namespace, bucket, application's key and suffix (.d descriptor, @l latest, :n slot of an
old version); /local keys are the node's own, in the default family. A KEY is hexadecimal with or without 0x, or any
other form that keys have on the command line; - reads one a line, and what follows " ==> " or " : " on a line of "ldb
scan --hex" is passed over.`,
		Example: lines(
			"pleiades keys decode 0x6400000000000000016100406c",
			`pleiades keys decode "'d\0\0\0\0\0\0\0\x01a\0:\x01'"`,
			"ldb --db=data --column_family=1001 scan --hex | pleiades keys decode -",
		),
		Args: cobra.MinimumNArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			s, err := a.out().Stream("key")
			if err != nil {
				return err
			}
			if len(args) == 1 && args[0] == "-" {
				err = a.decodeLines(ctx, s)
			} else {
				for _, arg := range args {
					if err = decodeOne(s, arg); err != nil {
						break
					}
				}
			}
			return errors.Join(err, s.Close())
		}),
	}
}

// decodeLines explains one key a line of standard input; empty lines are passed over.
func (a *App) decodeLines(ctx context.Context, s *output.Stream) error {
	in := bufio.NewReaderSize(a.input(ctx), 64<<10)
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return exit.New(exit.Usage, "leave the values out: ldb scan --no_value", "%w: line %d is longer than 64 KiB", base.ErrInvalid, n)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		text := bytes.TrimSpace(line)
		for _, sep := range []string{" ==> ", " : "} {
			text, _, _ = bytes.Cut(text, []byte(sep))
		}
		if len(text) > 0 {
			if err := decodeOne(s, string(text)); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		}
		if err != nil {
			return nil
		}
	}
}

// decodeOne writes the row of one stored key. What is no key of a shard is a row too, with the reason.
func decodeOne(s *output.Stream, arg string) error {
	stored, err := storedKey(arg)
	if err != nil {
		return err
	}
	row := output.Row{output.F("stored", "0x"+fmt.Sprintf("%x", stored)), output.F("meaning", keys.Pretty(stored))}
	r, err := keys.Parse(nil, stored)
	if err != nil {
		return s.Row(append(row, output.F("bucket", nil), output.F("key", nil), output.F("kind", nil), output.F("slot", nil)))
	}
	var slot any
	if r.Kind == keys.KindVersion {
		slot = int(r.Slot)
	}
	return s.Row(append(row, output.F("bucket", uint64(r.Bucket)), output.F("key", output.Bytes(r.Key)),
		output.F("kind", r.Kind.String()), output.F("slot", slot)))
}

// storedKey reads a key argument in which plain hexadecimal is hexadecimal: stored keys begin with d, m or r.
func storedKey(arg string) ([]byte, error) {
	if len(arg) >= 2 && len(arg)%2 == 0 && len(bytes.Trim([]byte(arg), "0123456789abcdefABCDEF")) == 0 {
		return bytearg.Parse("0x" + arg)
	}
	if len(arg) > 2 && arg[:2] == "0X" {
		arg = "0x" + arg[2:]
	}
	return bytearg.Parse(arg)
}
