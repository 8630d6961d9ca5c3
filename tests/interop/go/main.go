// SPDX-License-Identifier: MIT

// Drives a server with the Go client (package zk of Debian's
// golang-github-samuel-go-zookeeper-dev) and prints TAP.
//
//	main HOST:PORT
//
// go_client.py starts the server and this program, and restarts the server when it reads
// "# restart"; an empty line on standard input says that it serves again.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/samuel/go-zookeeper/zk"
)

const root = "/go"

var (
	count, failed int
	everyone      = zk.WorldACL(zk.PermAll)
)

type silent struct{}

func (silent) Printf(string, ...interface{}) {}

func check(good bool, name string, details ...interface{}) {
	count++
	if good {
		fmt.Printf("ok %d - %s\n", count, name)
		return
	}
	failed++
	fmt.Printf("not ok %d - %s\n#   %s\n", count, name,
		strings.ReplaceAll(fmt.Sprint(details...), "\n", " "))
}

// finish prints the plan and ends the program.
func finish() {
	fmt.Printf("1..%d\n", count)
	if failed > 0 {
		os.Exit(1)
	}
	os.Exit(0)
}

func connect(address string) (*zk.Conn, <-chan zk.Event) {
	connection, events, err := zk.Connect([]string{address}, 10*time.Second)
	if err != nil {
		check(false, "connects", err)
		finish()
	}
	connection.SetLogger(silent{})
	if !waitForSession(events, 10*time.Second) {
		check(false, "gets a session")
		finish()
	}
	return connection, events
}

func waitForSession(events <-chan zk.Event, limit time.Duration) bool {
	timeout := time.After(limit)
	for {
		select {
		case event := <-events:
			if event.State == zk.StateHasSession {
				return true
			}
		case <-timeout:
			return false
		}
	}
}

// fires tells whether the watch brings an event of this kind about this path.
func fires(watch <-chan zk.Event, kind zk.EventType, path string) bool {
	select {
	case event := <-watch:
		return event.Type == kind && event.Path == path
	case <-time.After(10 * time.Second):
		return false
	}
}

func nodes(c *zk.Conn) {
	path, err := c.Create(root, []byte("one"), 0, everyone)
	check(err == nil && path == root, "create", path, err)
	_, err = c.Create(root, nil, 0, everyone)
	check(err == zk.ErrNodeExists, "create of a node that exists", err)
	path, err = c.Create(root+"/s-", nil, zk.FlagSequence, everyone)
	check(err == nil && path == root+"/s-0000000000", "create sequential", path, err)
	_, err = c.Create(root+"/e", nil, zk.FlagEphemeral, everyone)
	check(err == nil, "create ephemeral", err)
	path, err = c.CreateProtectedEphemeralSequential(root+"/p-", nil, everyone)
	check(err == nil && strings.HasSuffix(path, "p-0000000002"), "create protected", path, err)
	_, err = c.Create(root+"/e/child", nil, 0, everyone)
	check(err == zk.ErrNoChildrenForEphemerals, "no children of ephemerals", err)
	_, err = c.Create("/missing/child", nil, 0, everyone)
	check(err == zk.ErrNoNode, "create without a parent", err)

	data, stat, err := c.Get(root)
	check(err == nil && string(data) == "one" && stat.Version == 0 && stat.NumChildren == 3,
		"get", string(data), stat, err)
	changed, err := c.Set(root, []byte("two"), 0)
	check(err == nil && changed.Version == 1 && changed.Mzxid > stat.Mzxid, "set", changed, err)
	_, err = c.Set(root, []byte("three"), 0)
	check(err == zk.ErrBadVersion, "set with an old version", err)
	children, _, err := c.Children(root)
	sort.Strings(children)
	check(err == nil && len(children) == 3 && children[1] == "e", "children", children, err)
	check(c.Delete(root, -1) == zk.ErrNotEmpty, "delete of a node with children")
	found, _, err := c.Exists(root + "/missing")
	check(err == nil && !found, "exists", err)
	path, err = c.Sync(root)
	check(err == nil && path == root, "sync", path, err)

	large := bytes.Repeat([]byte{7}, 1000000)
	_, err = c.Set(path, large, -1)
	data, _, err2 := c.Get(path)
	check(err == nil && err2 == nil && bytes.Equal(data, large), "a million bytes", err, err2)
}

func multis(c *zk.Conn) {
	path := root + "/multi"
	answers, err := c.Multi(
		&zk.CreateRequest{Path: path, Data: []byte("a"), Acl: everyone},
		&zk.SetDataRequest{Path: path, Data: []byte("b"), Version: 0},
		&zk.CheckVersionRequest{Path: path, Version: 1},
		&zk.DeleteRequest{Path: path, Version: 1})
	check(err == nil && len(answers) == 4 && answers[0].String == path &&
		answers[1].Stat.Version == 1, "multi", answers, err)
	_, err = c.Multi(
		&zk.CreateRequest{Path: path, Acl: everyone},
		&zk.CheckVersionRequest{Path: root, Version: 99})
	found, _, _ := c.Exists(path)
	check(err == zk.ErrBadVersion && !found, "a multi that fails leaves nothing", err)
}

func watches(c *zk.Conn) {
	path := root + "/watched"
	_, _, created, _ := c.ExistsW(path)
	_, _, inParent, _ := c.ChildrenW(root)
	c.Create(path, nil, 0, everyone)
	check(fires(created, zk.EventNodeCreated, path), "watch of exists")
	check(fires(inParent, zk.EventNodeChildrenChanged, root), "watch of children")
	_, _, changed, _ := c.GetW(path)
	c.Set(path, []byte("x"), -1)
	check(fires(changed, zk.EventNodeDataChanged, path), "watch of get")
	_, _, deleted, _ := c.GetW(path)
	c.Delete(path, -1)
	check(fires(deleted, zk.EventNodeDeleted, path), "watch of a deleted node")
}

func permissions(c *zk.Conn, address string) {
	path := root + "/private"
	check(c.AddAuth("digest", []byte("me:secret")) == nil, "auth")
	_, err := c.Create(path, []byte("x"), 0, zk.DigestACL(zk.PermAll, "me", "secret"))
	check(err == nil, "create with a digest ACL", err)
	acl, _, err := c.GetACL(path)
	check(err == nil && len(acl) == 1 && acl[0].Scheme == "digest", "getACL", acl, err)
	stranger, _ := connect(address)
	_, _, err = stranger.Get(path)
	check(err == zk.ErrNoAuth, "a stranger is refused", err)
	stat, err := c.SetACL(path, everyone, 0)
	check(err == nil && stat.Aversion == 1, "setACL", stat, err)
	_, _, err = stranger.Get(path)
	check(err == nil, "a stranger may read now", err)
	stranger.Close()
}

// locks lets several connections contend for the client's lock recipe.
func locks(address string) {
	var wait sync.WaitGroup
	var guard sync.Mutex
	inside, most, rounds := 0, 0, 0
	for i := 0; i < 4; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			c, _ := connect(address)
			defer c.Close()
			for j := 0; j < 5; j++ {
				lock := zk.NewLock(c, root+"/lock", everyone)
				if lock.Lock() != nil {
					return
				}
				guard.Lock()
				inside++
				rounds++
				if inside > most {
					most = inside
				}
				guard.Unlock()
				time.Sleep(time.Millisecond)
				guard.Lock()
				inside--
				guard.Unlock()
				lock.Unlock()
			}
		}()
	}
	wait.Wait()
	check(most == 1 && rounds == 20, "locks exclude one another", most, rounds)
}

// restart shows that session, ephemerals, login and watches outlive a restart of the server.
func restart(c *zk.Conn, events <-chan zk.Event) {
	session := c.SessionID()
	path := root + "/login"
	c.Create(path, nil, 0, zk.DigestACL(zk.PermAll, "me", "secret"))
	_, _, changed, _ := c.GetW(root)
	for len(events) > 0 {
		<-events
	}
	fmt.Println("# restart")
	bufio.NewReader(os.Stdin).ReadString('\n')
	check(waitForSession(events, 20*time.Second), "connects again after a restart")
	check(c.SessionID() == session, "the session is the same")
	found, stat, err := c.Exists(root + "/e")
	check(err == nil && found && stat.EphemeralOwner == session, "its ephemerals stand", err)
	_, _, err = c.Get(path)
	check(err == nil, "it is logged in again", err)
	_, err = c.Set(root, []byte("after"), -1)
	check(err == nil && fires(changed, zk.EventNodeDataChanged, root), "its watches stand", err)
}

func main() {
	c, events := connect(os.Args[1])
	nodes(c)
	multis(c)
	watches(c)
	permissions(c, os.Args[1])
	locks(os.Args[1])
	restart(c, events)
	c.Close()
	other, _ := connect(os.Args[1])
	found, _, err := other.Exists(root + "/e")
	check(err == nil && !found, "ephemerals vanish with their session", err)
	other.Close()
	finish()
}
