"""What runs are packed with, so that the ledger holds more of them."""

#: Words that runs of today repeat, the most frequent last. Never change one: what is kept was packed with it. Add
#: another, and pack with that.
WORDS = (
    b'"apifyMarginPercentage":0,"pricingModel":"PAY_PER_EVENT","pricingPerEvent":{"actorChargeEvents":{'
    b'"eventPriceUsd":0.0,"eventTitle":"","minimalMaxTotalChargeUsd":null,"chargedEventCounts":{"actor-start":1,'
    b'"metamorphs":["statusMessage":'
    b'"Actor finished with exit code 0FAILEDTIMED-OUTABORTEDDEVELOPMENTWEBAPIACTORWEBHOOK","gitBranchName":"master",'
    b'"usage":{"ACTOR_COMPUTE_UNITS":0.0,"DATASET_READS":0,"DATASET_WRITES":0,"KEY_VALUE_STORE_READS":1,'
    b'"KEY_VALUE_STORE_WRITES":1,"KEY_VALUE_STORE_LISTS":0,"REQUEST_QUEUE_READS":0,"REQUEST_QUEUE_WRITES":0,'
    b'"DATA_TRANSFER_INTERNAL_GBYTES":0.000,"DATA_TRANSFER_EXTERNAL_GBYTES":0.00,'
    b'"PROXY_RESIDENTIAL_TRANSFER_GBYTES":0,"PROXY_SERPS":0},"usageTotalUsd":0.000,"usageUsd":{'
    b'"ACTOR_COMPUTE_UNITS":0.00,"pricingInfo":{"isPrimary":true,"startedAt":"2026-"actorTaskId":"","stats":{'
    b'"inputBodyLen":2,"migrationCount":0,"rebootCount":0,"restartCount":0,"durationMillis":,"resurrectCount":0,'
    b'"runTimeSecs":,"metamorph":0,"computeUnits":0.00,"memAvgBytes":,"memMaxBytes":,"memCurrentBytes":0,'
    b'"cpuAvgUsage":,"cpuMaxUsage":,"cpuCurrentUsage":0,"netRxBytes":,"netTxBytes":},"options":{"build":"latest",'
    b'"timeoutSecs":3600,"memoryMbytes":1024,"maxItems":1000,"maxTotalChargeUsd":5,"diskMbytes":2048},"buildId":"",'
    b'"exitCode":0,"generalAccess":"FOLLOW_USER_SETTING","defaultKeyValueStoreId":"","defaultDatasetId":"",'
    b'"defaultRequestQueueId":"","storageIds":{"datasets":{"default":""},"keyValueStores":{"default":""},'
    b'"requestQueues":{"default":""}},"buildNumber":"0.0.1","containerUrl":"https://.runs.apify.net",'
    b'"isContainerServerReady":true,"platformUsageBillingModel":"USER","meta":{"origin":"SCHEDULER","clientIp":null,'
    b'"userAgent":"ApifyClient/2 (linux; Node/v20); isAtHome/true","scheduleId":"","scheduledAt":"2026-11-20T00:00:'
    b'00.000Z"},{"id":"","source":"apify","status":"SUCCEEDED","terminal":true,"life":"2026-11-20T00:00:00.000Z",'
    b'"finished":17,"account":"","origin":"API","actor_id":"","actor":"","task_id":"","task":"","build":"0.0.1",'
    b'"tags":["latest"],"schedule_id":"","schedule":"","datasets":{"default":""},"stores":{"default":""},"queues":{'
    b'"default":""},"fields":{"id":"","actId":"","userId":"","startedAt":"2026-","finishedAt":"2026-","status":'
    b'"SUCCEEDED","statusMessage":"","isStatusMessageTerminal":true,'
)
