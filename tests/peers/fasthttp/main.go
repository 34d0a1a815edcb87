// The server of fasthttp issue 1834: answers what the probe app answers, without a timeout (fasthttp's defaults) or with
// the three of the article's remedy. Prints its address and that of a page with every goroutine's stack, and with the number of
// its open connections under /open; then serves until it is killed. The page shuts it down gracefully under /shutdown. With -ask it is a
// client of that URL, too.
package main

import (
	"bufio"
	"crypto/sha256"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// The number behind `prefix`.
func number(path, prefix string) (int, bool) {
	n, err := strconv.Atoi(strings.TrimPrefix(path, prefix))
	return n, err == nil && strings.HasPrefix(path, prefix)
}

func answer(ctx *fasthttp.RequestCtx) {
	path := string(ctx.Path())
	if n, ok := number(path, "/big/"); ok {
		ctx.SetBodyStreamWriter(func(out *bufio.Writer) {
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
		})
		return
	}
	if n, ok := number(path, "/slow/"); ok {
		time.Sleep(time.Duration(n) * time.Millisecond)
		ctx.WriteString("ok")
		return
	}
	switch path {
	case "/":
		ctx.WriteString("ok")
	case "/echo":
		body := ctx.PostBody()
		fmt.Fprintf(ctx, "%d %x", len(body), sha256.Sum256(body))
	case "/reject":
		ctx.Error("rejected", fasthttp.StatusForbidden)
	default:
		ctx.Error("not found", fasthttp.StatusNotFound)
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
		go fasthttp.Get(nil, *ask)
	}
	server := &fasthttp.Server{
		Handler:      answer,
		ReadTimeout:  *timeouts,
		WriteTimeout: *timeouts,
		IdleTimeout:  *timeouts,
	}
	serving, admin := listen(), listen()
	fmt.Println(serving.Addr(), admin.Addr())
	go http.Serve(admin, http.HandlerFunc(func(out http.ResponseWriter, request *http.Request) {
		if request.URL.Path == "/shutdown" {
			go server.Shutdown()
		}
		if request.URL.Path == "/open" {
			fmt.Fprintln(out, server.GetOpenConnectionsCount())
			return
		}
		// Every goroutine with its stack and, from a minute on, with its age.
		pprof.Lookup("goroutine").WriteTo(out, 2)
	}))
	if err := server.Serve(serving); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// Whoever shut it down looks at what it waits for.
	select {}
}
