// Go's net/http with what the probe app has, without a timeout (its defaults) or with three of one length. Prints its address and
// that of a page with the number of its open connections, then serves until it is killed. The page has every goroutine's stack under
// /stacks, and shuts down gracefully under /shutdown. With -ask it is a client of that URL, too.
package main

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// The number behind `prefix`.
func number(path, prefix string) (int, bool) {
	n, err := strconv.Atoi(strings.TrimPrefix(path, prefix))
	return n, err == nil && strings.HasPrefix(path, prefix)
}

func answer(out http.ResponseWriter, request *http.Request) {
	path := request.URL.Path
	if n, ok := number(path, "/big/"); ok {
		out.Header().Set("Content-Length", strconv.Itoa(n))
		page := make([]byte, 16*1024)
		for n > 0 {
			if n < len(page) {
				page = page[:n]
			}
			if _, err := out.Write(page); err != nil {
				return
			}
			n -= len(page)
		}
		return
	}
	if n, ok := number(path, "/slow/"); ok {
		time.Sleep(time.Duration(n) * time.Millisecond)
		fmt.Fprint(out, "ok")
		return
	}
	switch path {
	case "/":
		fmt.Fprint(out, "ok")
	case "/echo":
		digest := sha256.New()
		n, err := io.Copy(digest, request.Body)
		if err != nil {
			// As most handlers have it, whatever the reason.
			http.Error(out, "the body cannot be read", http.StatusBadRequest)
			return
		}
		fmt.Fprintf(out, "%d %x", n, digest.Sum(nil))
	case "/reject":
		http.Error(out, "rejected", http.StatusForbidden)
	default:
		http.NotFound(out, request)
	}
}

func listen() net.Listener {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return listener
}

func main() {
	timeouts := flag.Duration("timeouts", 0, "read, write and idle timeout; 0: none, as by default")
	ask := flag.String("ask", "", "URL to ask, as a client does")
	flag.Parse()
	if *ask != "" {
		go http.Get(*ask)
	}
	var open int64
	server := &http.Server{
		Handler:      http.HandlerFunc(answer),
		ReadTimeout:  *timeouts,
		WriteTimeout: *timeouts,
		IdleTimeout:  *timeouts,
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				atomic.AddInt64(&open, 1)
			case http.StateClosed, http.StateHijacked:
				atomic.AddInt64(&open, -1)
			}
		},
	}
	serving, admin := listen(), listen()
	fmt.Println(serving.Addr(), admin.Addr())
	go http.Serve(admin, http.HandlerFunc(func(out http.ResponseWriter, request *http.Request) {
		switch request.URL.Path {
		case "/stacks":
			pprof.Lookup("goroutine").WriteTo(out, 2)
			return
		case "/shutdown":
			go server.Shutdown(context.Background())
		}
		fmt.Fprintln(out, atomic.LoadInt64(&open))
	}))
	err := server.Serve(serving)
	if err == http.ErrServerClosed {
		// Whoever shut it down looks at what it waits for.
		select {}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
