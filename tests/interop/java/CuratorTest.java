// SPDX-License-Identifier: MIT
// Runs Apache Curator's framework and recipes against one server and prints TAP.
// curator.py starts the server and runs this file with "java CuratorTest.java HOST:PORT".

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.retry.RetryOneTime;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.data.Stat;

public class CuratorTest {
    interface Body {
        void run() throws Exception;
    }

    static int count;
    static int failures;
    static CuratorFramework one;
    static CuratorFramework two;

    static void test(String name, Body body) {
        count++;
        try {
            body.run();
            System.out.println("ok " + count + " - Curator: " + name);
        } catch (Throwable problem) {
            failures++;
            System.out.println("not ok " + count + " - Curator: " + name);
            System.out.println("#   " + String.valueOf(problem).replace("\n", "\n#   "));
            for (StackTraceElement element : problem.getStackTrace()) {
                if (element.getClassName().startsWith("CuratorTest")) {
                    System.out.println("#   at " + element);
                }
            }
        }
    }

    static void check(boolean good, String what) {
        if (!good) {
            throw new AssertionError(what);
        }
    }

    static void await(CountDownLatch latch, String what) throws Exception {
        check(latch.await(10, TimeUnit.SECONDS), "in time: " + what);
    }

    static CuratorFramework client(String address) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.builder().connectString(address)
            .sessionTimeoutMs(8000).connectionTimeoutMs(5000).namespace("curator")
            .retryPolicy(new RetryOneTime(200)).build();
        client.start();
        check(client.blockUntilConnected(10, TimeUnit.SECONDS), "connected");
        return client;
    }

    static void nodes() throws Exception {
        one.create().creatingParentContainersIfNeeded().forPath("/a/b/c", "x".getBytes());
        Stat stat = new Stat();
        check(new String(one.getData().storingStatIn(stat).forPath("/a/b/c")).equals("x"), "data");
        one.setData().withVersion(stat.getVersion()).forPath("/a/b/c", "y".getBytes());
        try {
            one.setData().withVersion(stat.getVersion()).forPath("/a/b/c", "z".getBytes());
            throw new AssertionError("an old version was accepted");
        } catch (KeeperException.BadVersionException expected) {
            check(one.checkExists().forPath("/a/b/c").getVersion() == 1, "version");
        }
        String path = one.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL)
            .forPath("/a/p-");
        check(path.matches("/a/_c_[-0-9a-f]+-p-\\d{10}"), path);
        check(one.create().orSetData().forPath("/a/b/c", "w".getBytes()).equals("/a/b/c"), "or");
        one.delete().deletingChildrenIfNeeded().forPath("/a");
        check(one.checkExists().forPath("/a") == null, "deleted");
    }

    static void transactions() throws Exception {
        List<CuratorTransactionResult> results = one.transaction().forOperations(
            one.transactionOp().create().forPath("/t", "1".getBytes()),
            one.transactionOp().setData().forPath("/t", "2".getBytes()),
            one.transactionOp().check().withVersion(1).forPath("/t"),
            one.transactionOp().delete().forPath("/t"));
        check(results.size() == 4 && results.get(1).getResultStat().getVersion() == 1, "results");
        try {
            one.transaction().forOperations(one.transactionOp().create().forPath("/t"),
                one.transactionOp().delete().forPath("/nothing"));
            throw new AssertionError("committed");
        } catch (KeeperException.NoNodeException expected) {
            check(one.checkExists().forPath("/t") == null, "nothing stays");
        }
    }

    static void seenInTime(List<String> seen, String event) throws Exception {
        long end = System.currentTimeMillis() + 5000;
        while (!seen.contains(event)) {
            check(System.currentTimeMillis() < end, "in time: " + event);
            Thread.sleep(1);
        }
    }

    static void cache() throws Exception {
        List<String> seen = Collections.synchronizedList(new ArrayList<>());
        CountDownLatch ready = new CountDownLatch(1);
        one.create().forPath("/cache");
        try (CuratorCache cache = CuratorCache.build(one, "/cache")) {
            cache.listenable().addListener(CuratorCacheListener.builder()
                .forInitialized(ready::countDown)
                .forAll((type, before, after) -> {
                    seen.add(type + " " + (after == null ? before : after).getPath());
                }).build());
            cache.start();
            await(ready, "initialized");
            // The cache reads a node after each event and may skip states in between; each node
            // waits until its last state was seen.
            for (int index = 0; index < 50; index++) {
                two.create().forPath("/cache/" + index, "x".getBytes());
                seenInTime(seen, "NODE_CREATED /cache/" + index);
                two.setData().forPath("/cache/" + index, "y".getBytes());
                seenInTime(seen, "NODE_CHANGED /cache/" + index);
                two.delete().forPath("/cache/" + index);
                seenInTime(seen, "NODE_DELETED /cache/" + index);
            }
            two.setData().forPath("/cache", "end".getBytes());
            seenInTime(seen, "NODE_CHANGED /cache");
            check(seen.size() == 152, "152 events, got " + seen.size());
        }
    }

    static void watches() throws Exception {
        CountDownLatch three = new CountDownLatch(3);
        one.create().forPath("/watched");
        one.watchers().add().withMode(AddWatchMode.PERSISTENT)
            .usingWatcher((org.apache.curator.framework.api.CuratorWatcher)
                event -> three.countDown()).forPath("/watched");
        for (int index = 0; index < 3; index++) {
            two.setData().forPath("/watched", new byte[] {(byte) index});
        }
        await(three, "three events");
        one.watchers().removeAll().forPath("/watched");
    }

    static void mutex() throws Exception {
        InterProcessMutex first = new InterProcessMutex(one, "/mutex");
        InterProcessMutex second = new InterProcessMutex(two, "/mutex");
        first.acquire();
        check(!second.acquire(200, TimeUnit.MILLISECONDS), "held by another");
        first.release();
        check(second.acquire(5, TimeUnit.SECONDS), "free again");
        second.release();
    }

    static void contention() throws Exception {
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger turns = new AtomicInteger();
        AtomicInteger broken = new AtomicInteger();
        ExecutorService pool = Executors.newFixedThreadPool(8);
        for (int index = 0; index < 8; index++) {
            CuratorFramework client = index % 2 == 0 ? one : two;
            pool.submit(() -> {
                InterProcessMutex lock = new InterProcessMutex(client, "/contention");
                for (int turn = 0; turn < 20; turn++) {
                    lock.acquire();
                    broken.addAndGet(inside.incrementAndGet() == 1 ? 0 : 1);
                    inside.decrementAndGet();
                    turns.incrementAndGet();
                    lock.release();
                }
                return null;
            });
        }
        pool.shutdown();
        check(pool.awaitTermination(30, TimeUnit.SECONDS), "in time");
        check(turns.get() == 160 && broken.get() == 0, turns + " turns, " + broken + " broken");
    }

    static void locks() throws Exception {
        InterProcessReadWriteLock first = new InterProcessReadWriteLock(one, "/rw");
        InterProcessReadWriteLock second = new InterProcessReadWriteLock(two, "/rw");
        first.readLock().acquire();
        check(second.readLock().acquire(5, TimeUnit.SECONDS), "two readers");
        second.readLock().release();
        check(!second.writeLock().acquire(200, TimeUnit.MILLISECONDS), "no writer with a reader");
        first.readLock().release();
        check(second.writeLock().acquire(5, TimeUnit.SECONDS), "a writer alone");
        second.writeLock().release();
        InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(one, "/semaphore", 2);
        semaphore.acquire();
        semaphore.acquire();
        check(semaphore.acquire(200, TimeUnit.MILLISECONDS) == null, "two leases only");
    }

    static void leaders() throws Exception {
        LeaderLatch first = new LeaderLatch(one, "/leader", "1");
        LeaderLatch second = new LeaderLatch(two, "/leader", "2");
        first.start();
        check(first.await(5, TimeUnit.SECONDS), "the first leads");
        second.start();
        first.close();
        check(second.await(5, TimeUnit.SECONDS), "then the second");
        second.close();
    }

    static void counters() throws Exception {
        DistributedAtomicLong counter =
            new DistributedAtomicLong(one, "/counter", new RetryOneTime(10));
        for (int index = 0; index < 50; index++) {
            check(counter.increment().succeeded(), "increment");
        }
        check(counter.get().postValue() == 50, "fifty");
        SimpleDistributedQueue queue = new SimpleDistributedQueue(one, "/queue");
        for (int index = 0; index < 20; index++) {
            queue.offer(new byte[] {(byte) index});
        }
        for (int index = 0; index < 20; index++) {
            check(queue.poll()[0] == index, "in order");
        }
    }

    static void barriers() throws Exception {
        DistributedDoubleBarrier first = new DistributedDoubleBarrier(one, "/barrier", 2);
        DistributedDoubleBarrier second = new DistributedDoubleBarrier(two, "/barrier", 2);
        ExecutorService pool = Executors.newSingleThreadExecutor();
        pool.submit(() -> second.enter(10, TimeUnit.SECONDS) && second.leave(10, TimeUnit.SECONDS));
        check(first.enter(10, TimeUnit.SECONDS), "enter");
        check(first.leave(10, TimeUnit.SECONDS), "leave");
        pool.shutdown();
        check(pool.awaitTermination(10, TimeUnit.SECONDS), "the other left");
    }

    static void members() throws Exception {
        try (GroupMember first = new GroupMember(one, "/group", "1");
             GroupMember second = new GroupMember(two, "/group", "2")) {
            first.start();
            second.start();
            long end = System.currentTimeMillis() + 10000;
            while (first.getCurrentMembers().size() < 2 && System.currentTimeMillis() < end) {
                Thread.sleep(20);
            }
            check(first.getCurrentMembers().size() == 2, "two members");
        }
        try (PersistentNode node = new PersistentNode(one, CreateMode.EPHEMERAL, false,
                 "/persistent", "x".getBytes())) {
            node.start();
            check(node.waitForInitialCreate(5, TimeUnit.SECONDS), "created");
            two.delete().forPath("/persistent");
            long end = System.currentTimeMillis() + 10000;
            while (two.checkExists().forPath("/persistent") == null
                   && System.currentTimeMillis() < end) {
                Thread.sleep(20);
            }
            check(two.checkExists().forPath("/persistent") != null, "created again");
        }
        try (PersistentTtlNode node = new PersistentTtlNode(one, "/ttl", 60000, new byte[0])) {
            node.start();
            check(node.waitForInitialCreate(5, TimeUnit.SECONDS), "TTL node");
        }
    }

    public static void main(String[] arguments) throws Exception {
        one = client(arguments[0]);
        two = client(arguments[0]);
        test("nodes, containers, protection", CuratorTest::nodes);
        test("transactions", CuratorTest::transactions);
        test("CuratorCache over a recursive watch", CuratorTest::cache);
        test("persistent watches", CuratorTest::watches);
        test("InterProcessMutex", CuratorTest::mutex);
        test("a lock under contention", CuratorTest::contention);
        test("read/write locks and semaphores", CuratorTest::locks);
        test("LeaderLatch", CuratorTest::leaders);
        test("counters and queues", CuratorTest::counters);
        test("double barrier", CuratorTest::barriers);
        test("group members, persistent and TTL nodes", CuratorTest::members);
        two.close();
        one.close();
        System.out.println("1.." + count);
        System.exit(failures == 0 ? 0 : 1);
    }
}
