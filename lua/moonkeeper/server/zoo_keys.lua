-- SPDX-License-Identifier: MIT
-- What becomes of each key of a zoo.cfg that is no option of ours (those are the `zoo` fields of
-- schema/options.lua) and that zoo_cfg.lua does not treat by itself. Every key that Apache
-- documents is here: ignored with a line that says why, or refused where acting as if it were
-- not there would be unsafe. `*` at the end stands for any rest.

local M = {}

-- { why, keys }: the line says "KEY: ignored, WHY".
M.ignored = {
  { "every session is a global one", [[
    localSessionsEnabled localSessionsUpgradingEnabled ]] },
  { "it tunes threads or buffers of the Java server", [[
    nio.numSelectorThreads nio.numWorkerThreads nio.directBufferBytes nio.shutdownTimeout
    commitProcessor.numWorkerThreads commitProcessor.maxReadBatchSize
    commitProcessor.maxCommitBatchSize commitProcessor.shutdownTimeout intBufferStartingSizeBytes
    maxResponseCacheSize maxGetChildrenResponseCacheSize serverCnxnFactory
    netty.advancedFlowControl.enabled watchManagerName watcherCleanThreadsNum
    watcherCleanThreshold watcherCleanIntervalInSeconds maxInProcessingDeadWatchers
    bitHashCacheSize jvm.pause.monitor jvm.pause.sleep.time.ms jvm.pause.warn-threshold.ms
    jvm.pause.info-threshold.ms clientTcpKeepAlive ]] },
  { "writes are synced in groups as they come, with nothing to tune", [[
    flushDelay maxWriteQueuePollTime maxBatchSize ]] },
  { "under load connections are paused, not refused; see outstanding_max and its like", [[
    request_throttle_max_requests request_throttle_stall_time request_throttle_drop_stale
    request_stale_latency_check request_stale_connection_check requestThrottleLimit
    requestThrottleStallTime requestThrottleDropStale requestStaleLatencyCheck
    requestStaleConnectionCheck throttled_op_wait_time connection_throttle_tokens
    connection_throttle_fill_time connection_throttle_fill_count connection_throttle_freeze_time
    connection_throttle_drop_increase connection_throttle_drop_decrease
    connection_throttle_decrease_ratio connection_throttle_weight_enabled
    connection_throttle_global_session_weight connection_throttle_renew_session_weight
    connection_throttle_local_session_weight largeRequestMaxBytes largeRequestThreshold ]] },
  { "a record longer than its frame is never believed, so there is no slack to set", [[
    jute.maxbuffer.extrasize ]] },
  { "snapshots are written uncompressed; compressed ones are read", [[
    snapshot.compression.method ]] },
  { "it is always written", [[ closeSessionTxn.enabled serializeLastProcessedZxid.enabled ]] },
  { "this version has no HTTP admin server; use the four-letter words", [[ admin.* ]] },
  { "this version has no metrics exporter; use the four-letter word mntr",
    [[ metricsProvider.* ]] },
  { "this version keeps no statistics per path", [[ pathStats.* ]] },
  { "this version has no audit log", [[ audit.impl.class ]] },
  { "there are only the schemes world, auth, digest and ip: others are refused", [[
    authProvider.* X509AuthenticationProvider.* superUser superUser.* letAnySaslUserDoX
    SASLAuthenticationProvider.superPassword IPAuthenticationProvider.usexforwardedfor
    ensembleAuthName allowSaslFailedClients sasl.serverconfig kerberos.removeHostFromPrincipal
    kerberos.removeRealmFromPrincipal kerberos.canonicalizeHostNames security.auth_to_local
    enforce.auth.schemes ]] },
  { "it changes no answer but how early it is given", [[ enableEagerACLCheck ]] },
  { "without a TLS port it has no effect", [[
    ssl.keyStore.* ssl.trustStore.* ssl.protocol ssl.enabledProtocols ssl.ciphersuites
    ssl.hostnameVerification ssl.clientHostnameVerification ssl.allowReverseDnsLookup ssl.crl
    ssl.ocsp ssl.clientAuth ssl.authProvider ssl.handshakeDetectionTimeoutMillis ssl.sslProvider
    ssl.context.supplier.class client.certReload fips-mode
    netty.server.outstandingHandshake.limit netty.server.earlyDropSecureConnectionHandshakes ]] },
  { "moonkeeper logs are set with log_level, log_format and log_file", [[ log4j.* root.logger ]] },
}

-- { why, keys, harmless }: refused unless the value is one of the harmless ones (case does not
-- matter). No list: refused in any case.
M.refused = {
  { "this version has no TLS; a plain port in its place would not be what you asked for", [[
    secureClientPort secureClientPortAddress ]] },
  { "this version has no TLS", [[ sslQuorum client.portUnification ]], { "false" } },
  { "authentication could not be enforced as it asks for", [[
    sessionRequireClientSASLAuth enforce.auth.enabled ]], { "false" } },
  { "this version has no audit log, and you asked for one", [[ audit.enable ]], { "false" } },
  { "only SHA1 is known; digests in ACLs would not match", [[
    DigestAuthenticationProvider.digestAlg ]], { "sha1" } },
  { "TTL nodes would be stored in a form that this version does not read", [[
    emulate353TTLNodes ]], { "false" } },
}

-- What only has a meaning in an ensemble, and is ignored on a single server with a line that says
-- so. { why, keys }: ignored in an ensemble too.
M.ensemble_ignored = {
  { "connecting to the leader is part of initLimit", [[ connectToLearnerMasterLimit ]] },
  { "the leader serves clients too", [[ leaderServes ]] },
  { "each server has one address in this version", [[
    multiAddress.enabled multiAddress.reachabilityCheckEnabled
    multiAddress.reachabilityCheckTimeoutMs ]] },
  { "observers follow the leader, and this version lets none follow a follower", [[
    observerMasterPort observerMaster.sizeLimit ]] },
  { "observers keep their data on disk as the others do", [[
    syncEnabled observer.syncEnabled ]] },
  { "it tunes threads, buffers or waiting times of the Java server", [[
    observer.reconnectDelayMs observer.election.DelayMs quorumCnxnTimeoutMs tcpKeepAlive
    fastleader.minNotificationInterval fastleader.maxNotificationInterval maxTimeToWaitForEpoch
    leader.maxTimeToWaitForEpoch leader.maxConcurrentSnapSyncs leader.maxConcurrentDiffSyncs
    leaderConnectDelayDuringRetryMs learner.asyncSending learner.closeSocketAsync
    leader.closeSocketAsync follower.nodelay leader.nodelay
    forward_learner_requests_to_commit_processor_disabled
    follower.skipLearnerRequestToNextProcessor leader.ackLoggingFrequency messageTracker.Enabled
    messageTracker.BufferSize quorum.cnxn.threads.size ]] },
  { "an address that cannot be had stops the start", [[ electionPortBindRetry ]] },
  { "what a learner is sent follows from what it lacks", [[
    snapshotSizeFactor forceSnapshotSync commitLogCount ]] },
  { "without quorum.auth.enableSasl it has no effect", [[
    quorum.auth.learner.saslLoginContext quorum.auth.server.saslLoginContext
    quorum.auth.kerberos.servicePrincipal ]] },
  { "without sslQuorum it has no effect", [[ sslQuorumReloadCertFiles ssl.quorum.* ]] },
}

-- { why, keys, harmless }: refused in an ensemble, unless the value is one of the harmless ones.
M.ensemble_refused = {
  { "servers could not prove to each other who they are: this version has no SASL", [[
    quorum.auth.enableSasl quorum.auth.serverRequireSasl quorum.auth.learnerRequireSasl ]],
    { "false" } },
  { "this version has no TLS", [[ portUnification ]], { "false" } },
  { "only elections of type 3 are known", [[ electionAlg ]],
    { "3" } },
  { "this version has no oracle: with two servers, both are needed", [[ oraclePath ]] },
  { "an empty server votes in this version, whether there is a file named initialize or not", [[
    db.autocreate ]], { "true" } },
}

-- Treated in zoo_cfg.lua and zoo_ensemble.lua.
M.special = { "clientPortAddress", "autopurge.purgeInterval", "readonlymode.enabled",
  "datadir.autocreate", "server.*", "group.*", "weight.*", "dynamicConfigFile", "peerType",
  "standaloneEnabled" }

local exact, prefixes = {}, {}

local function enter(keys, entry)
  for key in keys:gmatch("%S+") do
    if key:sub(-1) == "*" then
      prefixes[#prefixes + 1] = { key:sub(1, -2), entry }
    else
      exact[key] = entry
    end
  end
end

for _, row in ipairs(M.ignored) do
  enter(row[2], { kind = "ignored", why = row[1] })
end
for _, row in ipairs(M.refused) do
  enter(row[2], { kind = "refused", why = row[1], harmless = row[3] })
end
for _, row in ipairs(M.ensemble_ignored) do
  enter(row[2], { kind = "ensemble", refused = false, why = row[1] })
end
for _, row in ipairs(M.ensemble_refused) do
  enter(row[2], { kind = "ensemble", refused = true, why = row[1], harmless = row[3] })
end
for _, key in ipairs(M.special) do
  enter(key, { kind = "special" })
end

---What becomes of a key (without `zookeeper.` in front), or nil when it is not known.
---@param key string
---@return { kind: "ignored"|"refused"|"ensemble"|"special", why: string?, refused: boolean?,
---  harmless: string[]? }? `refused`: in an ensemble
function M.find(key)
  if exact[key] then
    return exact[key]
  end
  for _, item in ipairs(prefixes) do
    if key:sub(1, #item[1]) == item[1] and #key > #item[1] then
      return item[2]
    end
  end
  return nil
end

---Every key that is known by its full name, sorted.
---@return string[]
function M.names()
  local names = {}
  for key in pairs(exact) do
    names[#names + 1] = key
  end
  table.sort(names)
  return names
end

return M
