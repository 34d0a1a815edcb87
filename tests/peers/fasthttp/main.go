// The server of fasthttp issue 1834: answers what the probe app answers, without a timeout (fasthttp's defaults) or with
// the three of the article's remedy. Prints its two addresses, then serves until it is killed.
package main

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/pprof"
	"time"

	"github.com/valyala/fasthttp"
)

func answer(ctx *fasthttp.RequestCtx) {
	switch string(ctx.Path()) {
	case "/":
		ctx.WriteString("ok")
	case "/echo":
		body := ctx.PostBody()
		fmt.Fprintf(ctx, "%d %x", len(body), sha256.Sum256(body))
	default:
		ctx.Error("not found", fasthttp.StatusNotFound)
	}
}

// Every goroutine with its stack and, from a minute on, with its age.
func stacks(out http.ResponseWriter, _ *http.Request) {
	pprof.Lookup("goroutine").WriteTo(out, 2)
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
	flag.Parse()
	server := &fasthttp.Server{
		Handler:      answer,
		ReadTimeout:  *timeouts,
		WriteTimeout: *timeouts,
		IdleTimeout:  *timeouts,
	}
	serving, admin := listen(), listen()
	fmt.Println(serving.Addr(), admin.Addr())
	go http.Serve(admin, http.HandlerFunc(stacks))
	// A peer that nobody ends, ends itself.
	time.AfterFunc(10*time.Minute, func() { os.Exit(0) })
	if err := server.Serve(serving); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
