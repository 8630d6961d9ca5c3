-- SPDX-License-Identifier: MIT
-- What real servers answered: Apache ZooKeeper 3.8.0 and moonkeeper 0.1.0, three participants and
-- an observer on loopback, freshly started; `alone` is one of them before the others came, `closed`
-- a single server with the default list of words. Paths and build dates are changed, and of mntr
-- there are the lines that doctor reads. For doctor_spec.lua.

return {
  apache = {
    alone = {
      srvr = "This ZooKeeper instance is not currently serving requests\n",
      mntr = "This ZooKeeper instance is not currently serving requests\n",
      conf = "This ZooKeeper instance is not currently serving requests\n",
      isro = "null",
      ruok = "imok",
    },
    leader = {
      srvr = "Zookeeper version: 3.8.0-${mvngit.commit.id}, built on 2026-05-24 12:00 UTC\n" ..
        "Latency min/avg/max: 0/0.0/0\n" ..
        "Received: 3\n" ..
        "Sent: 2\n" ..
        "Connections: 1\n" ..
        "Outstanding: 0\n" ..
        "Zxid: 0x100000000\n" ..
        "Mode: leader\n" ..
        "Node count: 5\n" ..
        "Proposal sizes last/min/max: -1/-1/-1\n",
      mntr = "zk_version\t3.8.0-${mvngit.commit.id}, built on 2026-05-24 12:00 UTC\n" ..
        "zk_server_state\tleader\n" ..
        "zk_peer_state\tleading - broadcast\n" ..
        "zk_outstanding_requests\t0\n" ..
        "zk_synced_followers\t2\n" ..
        "zk_synced_non_voting_followers\t0\n" ..
        "zk_synced_observers\t1\n" ..
        "zk_max_file_descriptor_count\t20000\n" ..
        "zk_open_file_descriptor_count\t45\n" ..
        "zk_uptime\t4677\n" ..
        "zk_learners\t3\n" ..
        "zk_quorum_size\t3\n" ..
        "zk_looking_count\t1\n" ..
        "zk_digest_mismatches_count\t0\n" ..
        "zk_unrecoverable_error_count\t0\n" ..
        "zk_avg_fsynctime\t0.0\n" ..
        "zk_max_fsynctime\t0\n",
      conf = "clientPort=47635\n" ..
        "secureClientPort=-1\n" ..
        "dataDir=/var/lib/zookeeper/data/version-2\n" ..
        "dataDirSize=637\n" ..
        "dataLogDir=/var/lib/zookeeper/data/version-2\n" ..
        "dataLogSize=637\n" ..
        "tickTime=500\n" ..
        "maxClientCnxns=0\n" ..
        "minSessionTimeout=1000\n" ..
        "maxSessionTimeout=60000\n" ..
        "clientPortListenBacklog=-1\n" ..
        "serverId=3\n" ..
        "initLimit=20\n" ..
        "syncLimit=8\n" ..
        "electionAlg=3\n" ..
        "electionPort=39243\n" ..
        "quorumPort=57193\n" ..
        "peerType=0\n" ..
        "membership: \n" ..
        "server.1=127.0.0.1:36023:41547:participant\n" ..
        "server.2=127.0.0.1:52207:42307:participant\n" ..
        "server.3=127.0.0.1:57193:39243:participant\n" ..
        "server.4=127.0.0.1:47529:44183:observer\n" ..
        "version=0",
      isro = "rw",
      ruok = "imok",
    },
    follower = {
      srvr = "Zookeeper version: 3.8.0-${mvngit.commit.id}, built on 2026-05-24 12:00 UTC\n" ..
        "Latency min/avg/max: 0/0.0/0\n" ..
        "Received: 20\n" ..
        "Sent: 19\n" ..
        "Connections: 1\n" ..
        "Outstanding: 0\n" ..
        "Zxid: 0x0\n" ..
        "Mode: follower\n" ..
        "Node count: 5\n",
      mntr = "zk_version\t3.8.0-${mvngit.commit.id}, built on 2026-05-24 12:00 UTC\n" ..
        "zk_server_state\tfollower\n" ..
        "zk_peer_state\tfollowing - broadcast\n" ..
        "zk_outstanding_requests\t0\n" ..
        "zk_max_file_descriptor_count\t20000\n" ..
        "zk_open_file_descriptor_count\t42\n" ..
        "zk_uptime\t4914\n" ..
        "zk_quorum_size\t3\n" ..
        "zk_looking_count\t1\n" ..
        "zk_digest_mismatches_count\t0\n" ..
        "zk_unrecoverable_error_count\t0\n" ..
        "zk_avg_fsynctime\t0.0\n" ..
        "zk_max_fsynctime\t0\n",
      conf = "clientPort=55191\n" ..
        "secureClientPort=-1\n" ..
        "dataDir=/var/lib/zookeeper/data/version-2\n" ..
        "dataDirSize=637\n" ..
        "dataLogDir=/var/lib/zookeeper/data/version-2\n" ..
        "dataLogSize=637\n" ..
        "tickTime=500\n" ..
        "maxClientCnxns=0\n" ..
        "minSessionTimeout=1000\n" ..
        "maxSessionTimeout=60000\n" ..
        "clientPortListenBacklog=-1\n" ..
        "serverId=1\n" ..
        "initLimit=20\n" ..
        "syncLimit=8\n" ..
        "electionAlg=3\n" ..
        "electionPort=41547\n" ..
        "quorumPort=36023\n" ..
        "peerType=0\n" ..
        "membership: \n" ..
        "server.1=127.0.0.1:36023:41547:participant\n" ..
        "server.2=127.0.0.1:52207:42307:participant\n" ..
        "server.3=127.0.0.1:57193:39243:participant\n" ..
        "server.4=127.0.0.1:47529:44183:observer\n" ..
        "version=0",
      isro = "rw",
      ruok = "imok",
    },
    observer = {
      srvr = "Zookeeper version: 3.8.0-${mvngit.commit.id}, built on 2026-05-24 12:00 UTC\n" ..
        "Latency min/avg/max: 0/0.0/0\n" ..
        "Received: 3\n" ..
        "Sent: 2\n" ..
        "Connections: 1\n" ..
        "Outstanding: 0\n" ..
        "Zxid: 0x100000000\n" ..
        "Mode: observer\n" ..
        "Node count: 5\n",
      mntr = "zk_version\t3.8.0-${mvngit.commit.id}, built on 2026-05-24 12:00 UTC\n" ..
        "zk_server_state\tobserver\n" ..
        "zk_peer_state\tobserving - broadcast\n" ..
        "zk_outstanding_requests\t0\n" ..
        "zk_max_file_descriptor_count\t20000\n" ..
        "zk_open_file_descriptor_count\t42\n" ..
        "zk_uptime\t3413\n" ..
        "zk_quorum_size\t3\n" ..
        "zk_looking_count\t1\n" ..
        "zk_digest_mismatches_count\t0\n" ..
        "zk_unrecoverable_error_count\t0\n" ..
        "zk_avg_fsynctime\t0.0\n" ..
        "zk_max_fsynctime\t0\n",
      conf = "clientPort=34979\n" ..
        "secureClientPort=-1\n" ..
        "dataDir=/var/lib/zookeeper/data/version-2\n" ..
        "dataDirSize=1272\n" ..
        "dataLogDir=/var/lib/zookeeper/data/version-2\n" ..
        "dataLogSize=1272\n" ..
        "tickTime=500\n" ..
        "maxClientCnxns=0\n" ..
        "minSessionTimeout=1000\n" ..
        "maxSessionTimeout=60000\n" ..
        "clientPortListenBacklog=-1\n" ..
        "serverId=4\n" ..
        "initLimit=20\n" ..
        "syncLimit=8\n" ..
        "electionAlg=3\n" ..
        "electionPort=44183\n" ..
        "quorumPort=47529\n" ..
        "peerType=1\n" ..
        "membership: \n" ..
        "server.1=127.0.0.1:36023:41547:participant\n" ..
        "server.2=127.0.0.1:52207:42307:participant\n" ..
        "server.3=127.0.0.1:57193:39243:participant\n" ..
        "server.4=127.0.0.1:47529:44183:observer\n" ..
        "version=0",
      isro = "rw",
      ruok = "imok",
    },
    closed = {
      srvr = "Zookeeper version: 3.8.0-${mvngit.commit.id}, built on 2026-05-24 12:00 UTC\n" ..
        "Latency min/avg/max: 0/0.0/0\n" ..
        "Received: 29\n" ..
        "Sent: 28\n" ..
        "Connections: 1\n" ..
        "Outstanding: 0\n" ..
        "Zxid: 0x0\n" ..
        "Mode: standalone\n" ..
        "Node count: 5\n",
      mntr = "mntr is not executed because it is not in the whitelist.\n",
      conf = "conf is not executed because it is not in the whitelist.\n",
      isro = "isro is not executed because it is not in the whitelist.\n",
      ruok = "ruok is not executed because it is not in the whitelist.\n",
    },
  },
  moonkeeper = {
    alone = {
      srvr = "This ZooKeeper instance is not currently serving requests\n",
      mntr = "This ZooKeeper instance is not currently serving requests\n",
      conf = "This ZooKeeper instance is not currently serving requests\n",
      isro = "null",
      ruok = "imok",
    },
    leader = {
      srvr = "Zookeeper version: 3.9.4-moonkeeper-0.1.0, built on 2026-05-24 12:00 UTC\n" ..
        "Latency min/avg/max: 0/0.0/0\n" ..
        "Received: 0\n" ..
        "Sent: 0\n" ..
        "Connections: 1\n" ..
        "Outstanding: 0\n" ..
        "Zxid: 0x0\n" ..
        "Mode: leader\n" ..
        "Node count: 5\n" ..
        "Proposal sizes last/min/max: -1/-1/-1\n",
      mntr = "zk_version\t3.9.4-moonkeeper-0.1.0, built on 2026-05-24 12:00 UTC\n" ..
        "zk_server_state\tleader\n" ..
        "zk_peer_state\tleading - broadcast\n" ..
        "zk_current_epoch\t1\n" ..
        "zk_outstanding_requests\t0\n" ..
        "zk_open_file_descriptor_count\t23\n" ..
        "zk_max_file_descriptor_count\t20000\n" ..
        "zk_uptime\t2238\n" ..
        "zk_quorum_size\t3\n" ..
        "zk_learners\t3\n" ..
        "zk_synced_followers\t2\n" ..
        "zk_synced_non_voting_followers\t0\n" ..
        "zk_synced_observers\t1\n" ..
        "zk_looking_count\t1\n" ..
        "zk_avg_fsynctime\t0.0\n" ..
        "zk_max_fsynctime\t0\n",
      conf = "clientPort=58783\n" ..
        "secureClientPort=-1\n" ..
        "dataDir=/var/lib/zookeeper/data/version-2\n" ..
        "dataDirSize=1532\n" ..
        "dataLogDir=/var/lib/zookeeper/data/version-2\n" ..
        "dataLogSize=1532\n" ..
        "tickTime=500\n" ..
        "maxClientCnxns=0\n" ..
        "minSessionTimeout=1000\n" ..
        "maxSessionTimeout=60000\n" ..
        "clientPortListenBacklog=1024\n" ..
        "serverId=3\n" ..
        "initLimit=20\n" ..
        "syncLimit=8\n" ..
        "electionAlg=3\n" ..
        "electionPort=56467\n" ..
        "quorumPort=45459\n" ..
        "peerType=0\n" ..
        "membership: \n" ..
        "server.1=127.0.0.1:51081:40359:participant\n" ..
        "server.2=127.0.0.1:48409:36291:participant\n" ..
        "server.3=127.0.0.1:45459:56467:participant\n" ..
        "server.4=127.0.0.1:56245:35473:observer\n" ..
        "version=0",
      isro = "rw",
      ruok = "imok",
    },
    follower = {
      srvr = "Zookeeper version: 3.9.4-moonkeeper-0.1.0, built on 2026-05-24 12:00 UTC\n" ..
        "Latency min/avg/max: 0/0.0/0\n" ..
        "Received: 0\n" ..
        "Sent: 0\n" ..
        "Connections: 1\n" ..
        "Outstanding: 0\n" ..
        "Zxid: 0x0\n" ..
        "Mode: follower\n" ..
        "Node count: 5\n",
      mntr = "zk_version\t3.9.4-moonkeeper-0.1.0, built on 2026-05-24 12:00 UTC\n" ..
        "zk_server_state\tfollower\n" ..
        "zk_peer_state\tfollowing - broadcast\n" ..
        "zk_current_epoch\t1\n" ..
        "zk_outstanding_requests\t0\n" ..
        "zk_open_file_descriptor_count\t21\n" ..
        "zk_max_file_descriptor_count\t20000\n" ..
        "zk_uptime\t3526\n" ..
        "zk_quorum_size\t3\n" ..
        "zk_looking_count\t1\n" ..
        "zk_avg_fsynctime\t0.0\n" ..
        "zk_max_fsynctime\t0\n",
      conf = "clientPort=46187\n" ..
        "secureClientPort=-1\n" ..
        "dataDir=/var/lib/zookeeper/data/version-2\n" ..
        "dataDirSize=1532\n" ..
        "dataLogDir=/var/lib/zookeeper/data/version-2\n" ..
        "dataLogSize=1532\n" ..
        "tickTime=500\n" ..
        "maxClientCnxns=0\n" ..
        "minSessionTimeout=1000\n" ..
        "maxSessionTimeout=60000\n" ..
        "clientPortListenBacklog=1024\n" ..
        "serverId=1\n" ..
        "initLimit=20\n" ..
        "syncLimit=8\n" ..
        "electionAlg=3\n" ..
        "electionPort=40359\n" ..
        "quorumPort=51081\n" ..
        "peerType=0\n" ..
        "membership: \n" ..
        "server.1=127.0.0.1:51081:40359:participant\n" ..
        "server.2=127.0.0.1:48409:36291:participant\n" ..
        "server.3=127.0.0.1:45459:56467:participant\n" ..
        "server.4=127.0.0.1:56245:35473:observer\n" ..
        "version=0",
      isro = "rw",
      ruok = "imok",
    },
    observer = {
      srvr = "Zookeeper version: 3.9.4-moonkeeper-0.1.0, built on 2026-05-24 12:00 UTC\n" ..
        "Latency min/avg/max: 0/0.0/0\n" ..
        "Received: 0\n" ..
        "Sent: 0\n" ..
        "Connections: 1\n" ..
        "Outstanding: 0\n" ..
        "Zxid: 0x0\n" ..
        "Mode: observer\n" ..
        "Node count: 5\n",
      mntr = "zk_version\t3.9.4-moonkeeper-0.1.0, built on 2026-05-24 12:00 UTC\n" ..
        "zk_server_state\tobserver\n" ..
        "zk_peer_state\tobserving - broadcast\n" ..
        "zk_current_epoch\t1\n" ..
        "zk_outstanding_requests\t0\n" ..
        "zk_open_file_descriptor_count\t21\n" ..
        "zk_max_file_descriptor_count\t20000\n" ..
        "zk_uptime\t2132\n" ..
        "zk_quorum_size\t3\n" ..
        "zk_looking_count\t1\n" ..
        "zk_avg_fsynctime\t0.0\n" ..
        "zk_max_fsynctime\t0\n",
      conf = "clientPort=44665\n" ..
        "secureClientPort=-1\n" ..
        "dataDir=/var/lib/zookeeper/data/version-2\n" ..
        "dataDirSize=1532\n" ..
        "dataLogDir=/var/lib/zookeeper/data/version-2\n" ..
        "dataLogSize=1532\n" ..
        "tickTime=500\n" ..
        "maxClientCnxns=0\n" ..
        "minSessionTimeout=1000\n" ..
        "maxSessionTimeout=60000\n" ..
        "clientPortListenBacklog=1024\n" ..
        "serverId=4\n" ..
        "initLimit=20\n" ..
        "syncLimit=8\n" ..
        "electionAlg=3\n" ..
        "electionPort=35473\n" ..
        "quorumPort=56245\n" ..
        "peerType=1\n" ..
        "membership: \n" ..
        "server.1=127.0.0.1:51081:40359:participant\n" ..
        "server.2=127.0.0.1:48409:36291:participant\n" ..
        "server.3=127.0.0.1:45459:56467:participant\n" ..
        "server.4=127.0.0.1:56245:35473:observer\n" ..
        "version=0",
      isro = "rw",
      ruok = "imok",
    },
    closed = {
      srvr = "Zookeeper version: 3.9.4-moonkeeper-0.1.0, built on 2026-05-24 12:00 UTC\n" ..
        "Latency min/avg/max: 0/0.0/0\n" ..
        "Received: 0\n" ..
        "Sent: 0\n" ..
        "Connections: 1\n" ..
        "Outstanding: 0\n" ..
        "Zxid: 0x0\n" ..
        "Mode: standalone\n" ..
        "Node count: 5\n",
      mntr = "mntr is not executed because it is not in the whitelist.\n",
      conf = "conf is not executed because it is not in the whitelist.\n",
      isro = "isro is not executed because it is not in the whitelist.\n",
      ruok = "ruok is not executed because it is not in the whitelist.\n",
    },
  },
}
