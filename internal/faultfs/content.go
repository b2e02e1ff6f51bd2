package faultfs

import "slices"

const pageBytes = 4096

// page is a page of a file's contents. Pages are never changed once they are in a content: contents
// share them, so that a copy of a file costs a pointer a page.
type page [pageBytes]byte

// content is what a file holds: size bytes, in pages, of which nil ones are holes that read as zeros.
// The part of the last page behind size is zero.
type content struct {
	size  int64
	pages []*page
	held  int // pages that are not nil
}

// clone returns a copy that may be changed.
func (c *content) clone() *content {
	return &content{size: c.size, pages: slices.Clone(c.pages), held: c.held}
}

// own replaces page i by a copy that may be changed, and returns it.
func (c *content) own(i int) *page {
	for len(c.pages) <= i {
		c.pages = append(c.pages, nil)
	}
	p := new(page)
	if old := c.pages[i]; old != nil {
		*p = *old
	} else {
		c.held++
	}
	c.pages[i] = p
	return p
}

func (c *content) writeAt(data []byte, off int64) {
	if len(data) == 0 {
		return // also behind the end
	}
	end := off + int64(len(data))
	for len(data) > 0 {
		p := c.own(int(off / pageBytes))
		n := copy(p[off%pageBytes:], data)
		data, off = data[n:], off+int64(n)
	}
	c.size = max(c.size, end)
}

// readAt fills buf from off and returns how much of it lies before the end.
func (c *content) readAt(buf []byte, off int64) int {
	if off >= c.size {
		return 0
	}
	buf = buf[:min(int64(len(buf)), c.size-off)]
	for done := 0; done < len(buf); {
		at := off + int64(done)
		in := int(at % pageBytes)
		n := min(len(buf)-done, pageBytes-in)
		if i := int(at / pageBytes); i < len(c.pages) && c.pages[i] != nil {
			copy(buf[done:done+n], c.pages[i][in:])
		} else {
			clear(buf[done : done+n])
		}
		done += n
	}
	return len(buf)
}

func (c *content) truncate(size int64) {
	if size < c.size {
		c.zero(size, int64(len(c.pages))*pageBytes-size)
		c.pages = c.pages[:min(len(c.pages), int((size+pageBytes-1)/pageBytes))]
	}
	c.size = size
}

// zero makes [off, off+n) read as zeros; whole pages become holes.
func (c *content) zero(off, n int64) {
	end := min(off+n, int64(len(c.pages))*pageBytes)
	for off < end {
		i, in := int(off/pageBytes), off%pageBytes
		part := min(end-off, pageBytes-in)
		switch {
		case c.pages[i] == nil:
		case part == pageBytes:
			c.pages[i] = nil
			c.held--
		default:
			clear(c.own(i)[in : in+part])
		}
		off += part
	}
}

// allocated is the space of the pages that are there.
func (c *content) allocated() int64 { return int64(c.held) * pageBytes }

func (c *content) bytes() []byte {
	b := make([]byte, c.size)
	c.readAt(b, 0)
	return b
}
