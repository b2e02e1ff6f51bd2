package main

import (
	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
)

// answerer makes responses with a value of a size.
type answerer struct{ value []byte }

func newAnswerer(valueBytes int) answerer {
	v := make([]byte, valueBytes)
	for i := range v {
		v[i] = byte(i * 7)
	}
	return answerer{value: v}
}

// answer decodes a request and returns the encoded response, appended to dst.
func (a answerer) answer(dst, request []byte) ([]byte, error) {
	var req kvstorev1.GetRequest
	if err := req.UnmarshalVTUnsafe(request); err != nil {
		return nil, err
	}
	return appendMessage(dst, &kvstorev1.GetResponse{RequestId: req.RequestId, Value: a.value, Version: 1})
}

// appendMessage appends the encoded m to dst.
func appendMessage(dst []byte, m interface {
	SizeVT() int
	MarshalToSizedBufferVT([]byte) (int, error)
},
) ([]byte, error) {
	n := m.SizeVT()
	at := len(dst)
	if cap(dst)-at < n {
		dst = append(make([]byte, 0, at+n), dst...)
	}
	dst = dst[:at+n]
	_, err := m.MarshalToSizedBufferVT(dst[at:])
	return dst, err
}

// valueBytes decodes a response and returns the size of its value.
func valueBytes(response []byte) (int, error) {
	var resp kvstorev1.GetResponse
	if err := resp.UnmarshalVTUnsafe(response); err != nil {
		return 0, err
	}
	return len(resp.Value), nil
}
