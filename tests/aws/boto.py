"""The estate's AWS as boto3 sees it: a client that we did not write. Prints a line for each thing that it saw; the first
thing that is otherwise ends it with what it expected and what it got."""

import datetime
import json
import os
import socket
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

URL, REGION, KEY, SECRET = (os.environ[name] for name in ("ESTATE_URL", "ESTATE_REGION", "ESTATE_KEY", "ESTATE_SECRET"))
OTHER = "eu-central-1"
ROLE = "arn:aws:iam::123456789012:role/backup"
KEYS = {region: f"arn:aws:kms:{region}:123456789012:key/own" for region in (REGION, OTHER)}


def client(service, region=REGION, **more):
    config = Config(retries={"max_attempts": 1, "mode": "standard"}, connect_timeout=5, read_timeout=30)
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET} | more
    return boto3.client(service, region_name=region, endpoint_url=URL, config=config, **keys)


rds, cloudwatch, backup, logs, sts = (client(name) for name in ("rds", "cloudwatch", "backup", "logs", "sts"))


def saw(what):
    print("saw:", what, flush=True)


def same(what, got, expected):
    if got != expected:
        sys.exit(f"{what}: expected {expected!r}, got {got!r}")


def holds(what, fine, got=None):
    if not fine:
        sys.exit(f"{what}: got {got!r}")


def refused(what, code, call, status=None, **parameters):
    try:
        answer = call(**parameters)
    except ClientError as error:
        same(what, error.response["Error"]["Code"], code)
        if status:
            same(what, error.response["ResponseMetadata"]["HTTPStatusCode"], status)
        holds(f"{what}: a message", error.response["Error"].get("Message"))
        return error
    sys.exit(f"{what}: expected {code}, and it went well: {answer!r}")


def instance(name, of=rds):
    return of.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]


def until(what, look, wanted, seconds=120):
    end = time.monotonic() + seconds
    seen = []
    while time.monotonic() < end:
        now = look()
        if not seen or seen[-1] != now:
            seen.append(now)
        if wanted(now) if callable(wanted) else now == wanted:
            return seen
        time.sleep(0.1)
    events = [event["Message"] for event in rds.describe_events()["Events"]]
    sys.exit(f"{what}: not within {seconds} s: {seen!r}; what happened: {events[-6:]!r}")


def available(name):
    return until(f"{name} becomes available", lambda: instance(name)["DBInstanceStatus"], "available")


def listens(name):
    endpoint = instance(name)["Endpoint"]
    with socket.create_connection((endpoint["Address"], endpoint["Port"]), 5):
        return endpoint["Port"]


def identity():
    same("account", sts.get_caller_identity()["Account"], "123456789012")
    refused("a key nobody knows", "InvalidClientTokenId", client("rds", aws_access_key_id="AKIANOBODY").describe_db_instances, 403)
    refused("the same of JSON", "UnrecognizedClientException", client("logs", aws_access_key_id="AKIANOBODY").describe_log_groups)
    refused("what is not there", "InvalidAction", rds.describe_db_proxies)
    refused("a region not opted into", "InvalidClientTokenId", client("rds", "me-south-1").describe_db_instances, 403)
    refused("the same of JSON", "UnrecognizedClientException", client("backup", "me-south-1").list_backup_vaults)
    saw("who calls")


BASE = dict(DBInstanceClass="db.t3.medium", Engine="postgres", AllocatedStorage=20, MasterUsername="portarium", MasterUserPassword="correct-horse-7")


def bad_wishes():
    def create(**over):
        return rds.create_db_instance(**(BASE | {"DBInstanceIdentifier": "boto-bad"} | over))

    for what, code, over in [
        ("class", "InvalidParameterValue", {"DBInstanceClass": "db.enormous"}),
        ("engine", "InvalidParameterValue", {"Engine": "oracle"}),
        ("version", "InvalidParameterCombination", {"EngineVersion": "99.9"}),
        ("short password", "InvalidParameterValue", {"MasterUserPassword": "short"}),
        ("reserved master", "InvalidParameterValue", {"MasterUsername": "rdsadmin"}),
        ("database", "InvalidParameterValue", {"DBName": "1x"}),
        ("storage", "InvalidParameterValue", {"AllocatedStorage": 5}),
        ("iops on gp2", "InvalidParameterCombination", {"Iops": 3000, "StorageType": "gp2"}),
        ("retention", "InvalidParameterValue", {"BackupRetentionPeriod": 36}),
        ("two hyphens", "InvalidParameterValue", {"DBInstanceIdentifier": "a--b"}),
        ("last hyphen", "InvalidParameterValue", {"DBInstanceIdentifier": "a-"}),
        ("digit first", "InvalidParameterValue", {"DBInstanceIdentifier": "1a"}),
        ("64 characters", "InvalidParameterValue", {"DBInstanceIdentifier": "a" * 64}),
        ("license", "InvalidParameterValue", {"LicenseModel": "license-included"}),
        ("authority", "CertificateNotFound", {"CACertificateIdentifier": "rds-ca-2015"}),
        ("key of elsewhere", "KMSKeyNotAccessibleFault", {"KmsKeyId": KEYS[OTHER]}),
        ("security group", "InvalidParameterValue", {"VpcSecurityGroupIds": ["default"]}),
        ("parameter group", "DBParameterGroupNotFound", {"DBParameterGroupName": "nowhere"}),
        ("subnet group", "DBSubnetGroupNotFoundFault", {"DBSubnetGroupName": "nowhere"}),
        ("what is only pretended elsewhere", "InvalidParameterCombination", {"ManageMasterUserPassword": True}),
    ]:
        refused(what, code, create, **over)
    refused("no such instance", "DBInstanceNotFound", rds.describe_db_instances, 404, DBInstanceIdentifier="nowhere")
    same("nothing was made", rds.describe_db_instances()["DBInstances"], [])
    saw("20 wishes refused")


def groups():
    family = rds.describe_db_engine_versions(Engine="postgres", DefaultOnly=True)["DBEngineVersions"][0]["DBParameterGroupFamily"]
    rds.create_db_parameter_group(DBParameterGroupName="boto-group", DBParameterGroupFamily=family, Description="of a test")
    refused("taken", "DBParameterGroupAlreadyExists", rds.create_db_parameter_group, DBParameterGroupName="boto-group", DBParameterGroupFamily=family, Description="x")
    wish = lambda name, value, how="pending-reboot": {"ParameterName": name, "ParameterValue": value, "ApplyMethod": how}
    rds.modify_db_parameter_group(DBParameterGroupName="boto-group", Parameters=[wish("log_min_duration_statement", "250"), wish("rds.logical_replication", "1")])
    for what, code, one in [
        ("unknown", "InvalidParameterValue", wish("no_such_thing", "1")),
        ("out of range", "InvalidParameterValue", wish("log_min_duration_statement", "-2")),
        ("RDS's own", "InvalidParameterValue", wish("archive_command", "true")),
        ("static at once", "InvalidParameterCombination", wish("max_connections", "50", "immediate")),
    ]:
        refused(f"parameter: {what}", code, rds.modify_db_parameter_group, DBParameterGroupName="boto-group", Parameters=[one])
    mine = rds.describe_db_parameters(DBParameterGroupName="boto-group", Source="user")["Parameters"]
    same("own parameters", {it["ParameterName"]: it["ParameterValue"] for it in mine}, {"log_min_duration_statement": "250", "rds.logical_replication": "1"})
    pages = list(rds.get_paginator("describe_db_parameters").paginate(DBParameterGroupName="boto-group", PaginationConfig={"PageSize": 50}))
    names = [it["ParameterName"] for page in pages for it in page["Parameters"]]
    holds("all parameters, by pages", len(names) > 250 and len(set(names)) == len(names) and len(pages) > 5, len(names))
    rds.create_db_subnet_group(DBSubnetGroupName="boto-subnets", DBSubnetGroupDescription="of a test", SubnetIds=["subnet-1", "subnet-2"])
    same("subnets", [it["SubnetIdentifier"] for it in rds.describe_db_subnet_groups(DBSubnetGroupName="boto-subnets")["DBSubnetGroups"][0]["Subnets"]], ["subnet-1", "subnet-2"])
    saw("parameter and subnet groups")


def create():
    made = rds.create_db_instance(**BASE, DBInstanceIdentifier="Boto-One", DBName="acme", BackupRetentionPeriod=7, DeletionProtection=True, StorageEncrypted=True, KmsKeyId=KEYS[REGION], PubliclyAccessible=True, EnableIAMDatabaseAuthentication=True,
        DBParameterGroupName="boto-group", DBSubnetGroupName="boto-subnets", EnableCloudwatchLogsExports=["postgresql"], EnablePerformanceInsights=True,
        Tags=[{"Key": "TenantId", "Value": "acme"}, {"Key": "StorageTier", "Value": "dedicated"}])["DBInstance"]
    same("status at first", made["DBInstanceStatus"], "creating")
    holds("no endpoint yet", "Endpoint" not in made)
    refused("the name is taken", "DBInstanceAlreadyExists", rds.create_db_instance, 400, **BASE, DBInstanceIdentifier="boto-one")
    refused("a snapshot of what is creating", "InvalidDBInstanceState", rds.create_db_snapshot, DBSnapshotIdentifier="early", DBInstanceIdentifier="boto-one")
    seen = available("boto-one")
    holds("creating, backing up, available", seen[0] == "creating" and seen[-1] == "available" and set(seen) <= {"creating", "backing-up", "available"}, seen)
    listens("boto-one")
    it = instance("boto-one")
    for name, value in {"DBInstanceIdentifier": "boto-one", "DBName": "acme", "StorageEncrypted": True, "DeletionProtection": True, "MultiAZ": False, "StorageType": "gp3", "Iops": 3000, "StorageThroughput": 125,
                        "BackupRetentionPeriod": 7, "PubliclyAccessible": True, "IAMDatabaseAuthenticationEnabled": True, "EnabledCloudwatchLogsExports": ["postgresql"], "Engine": "postgres"}.items():
        same(name, it[name], value)
    same("group", it["DBParameterGroups"][0]["DBParameterGroupName"], "boto-group")
    same("subnet group", it["DBSubnetGroup"]["DBSubnetGroupName"], "boto-subnets")
    holds("certificate ends", it["CertificateDetails"]["ValidTill"] > it["InstanceCreateTime"])
    found = rds.describe_db_instances(Filters=[{"Name": "db-instance-id", "Values": ["boto-one", "other"]}])["DBInstances"]
    same("by filter", len(found), 1)
    same("by ARN", instance(it["DBInstanceArn"])["DbiResourceId"], it["DbiResourceId"])
    refused("a filter that is none", "InvalidParameterValue", rds.describe_db_instances, Filters=[{"Name": "colour", "Values": ["red"]}])
    messages = [event["Message"] for event in rds.describe_events(SourceType="db-instance", SourceIdentifier="boto-one")["Events"]]
    holds("events", "DB instance created" in messages and "Finished DB Instance backup" in messages, messages)
    saw("an instance made")
    return it


def tags(it):
    arn = it["DBInstanceArn"]
    rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "Environment", "Value": "demo"}, {"Key": "Odd", "Value": "<&>\u00e9"}])
    rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["StorageTier"])
    got = {tag["Key"]: tag["Value"] for tag in rds.list_tags_for_resource(ResourceName=arn)["TagList"]}
    same("tags", got, {"TenantId": "acme", "Environment": "demo", "Odd": "<&>\u00e9"})
    same("tags of the instance", {tag["Key"]: tag["Value"] for tag in instance("boto-one")["TagList"]}, got)
    refused("tags of nothing", "DBInstanceNotFound", rds.list_tags_for_resource, ResourceName=arn.replace("boto-one", "nowhere"))
    saw("tags")


def modify():
    rds.modify_db_instance(DBInstanceIdentifier="boto-one", DBInstanceClass="db.t3.large")
    it = instance("boto-one")
    same("waits", (it["DBInstanceClass"], it["PendingModifiedValues"]), ("db.t3.medium", {"DBInstanceClass": "db.t3.large"}))
    rds.modify_db_instance(DBInstanceIdentifier="boto-one", DBInstanceClass="db.t3.large", AllocatedStorage=30, ApplyImmediately=True)
    refused("not while it is modified", "InvalidDBInstanceState", rds.modify_db_instance, DBInstanceIdentifier="boto-one", AllocatedStorage=40)
    seen = available("boto-one")
    holds("modifying, storage-optimization", "modifying" in seen and "storage-optimization" in seen, seen)
    it = instance("boto-one")
    same("is so now", (it["DBInstanceClass"], it["AllocatedStorage"], it["PendingModifiedValues"]), ("db.t3.large", 30, {}))
    refused("less storage", "InvalidParameterCombination", rds.modify_db_instance, DBInstanceIdentifier="boto-one", AllocatedStorage=20, ApplyImmediately=True)
    rds.modify_db_instance(DBInstanceIdentifier="boto-one", MasterUserPassword="another-horse-8")
    same("a password that is not in force yet", instance("boto-one")["PendingModifiedValues"], {"MasterUserPassword": "****"})
    available("boto-one")
    same("in force", instance("boto-one")["PendingModifiedValues"], {})
    port = listens("boto-one")
    group = lambda: instance("boto-one")["DBParameterGroups"][0]["ParameterApplyStatus"]
    same("parameters in force", group(), "in-sync")
    rds.modify_db_parameter_group(DBParameterGroupName="boto-group", Parameters=[{"ParameterName": "max_connections", "ParameterValue": "70", "ApplyMethod": "pending-reboot"}])
    same("and not yet", group(), "pending-reboot")
    rds.reboot_db_instance(DBInstanceIdentifier="boto-one")
    same("rebooting", instance("boto-one")["DBInstanceStatus"], "rebooting")
    available("boto-one")
    same("where it was", listens("boto-one"), port)
    same("parameters in force again", group(), "in-sync")
    rds.stop_db_instance(DBInstanceIdentifier="boto-one")
    until("it stops", lambda: instance("boto-one")["DBInstanceStatus"], "stopped")
    same("and keeps its endpoint", instance("boto-one")["Endpoint"]["Port"], port)
    refused("stopped already", "InvalidDBInstanceState", rds.stop_db_instance, 400, DBInstanceIdentifier="boto-one")
    rds.start_db_instance(DBInstanceIdentifier="boto-one")
    available("boto-one")
    same("where it was", listens("boto-one"), port)
    saw("modified, rebooted, stopped and started")


def by_default_key():
    rds.copy_db_snapshot(SourceDBSnapshotIdentifier="boto-snap", TargetDBSnapshotIdentifier="boto-default", KmsKeyId="alias/aws/rds")
    until("copied", lambda: rds.describe_db_snapshots(DBSnapshotIdentifier="boto-default")["DBSnapshots"][0]["Status"], "available")
    return "boto-default"


def snapshots(it):
    rds.create_db_snapshot(DBSnapshotIdentifier="boto-snap", DBInstanceIdentifier="boto-one", Tags=[{"Key": "why", "Value": "test"}])
    refused("the name is taken", "InvalidDBInstanceState", rds.create_db_snapshot, DBSnapshotIdentifier="boto-snap", DBInstanceIdentifier="boto-one")
    look = lambda: rds.describe_db_snapshots(DBSnapshotIdentifier="boto-snap")["DBSnapshots"][0]["Status"]
    same("at first", until("snapshot", look, "available")[0], "creating")
    available("boto-one")
    refused("the name is taken", "DBSnapshotAlreadyExists", rds.create_db_snapshot, 400, DBSnapshotIdentifier="boto-snap", DBInstanceIdentifier="boto-one")
    kinds = sorted(shot["SnapshotType"] for shot in rds.describe_db_snapshots(DBInstanceIdentifier="boto-one")["DBSnapshots"])
    same("manual and automated", kinds, ["automated", "manual"])
    rds.modify_db_snapshot_attribute(DBSnapshotIdentifier="boto-snap", AttributeName="restore", ValuesToAdd=["210987654321"])
    shared = rds.describe_db_snapshot_attributes(DBSnapshotIdentifier="boto-snap")["DBSnapshotAttributesResult"]["DBSnapshotAttributes"]
    same("shared", shared, [{"AttributeName": "restore", "AttributeValues": ["210987654321"]}])
    refused("by the account's default key", "InvalidParameterValue", rds.modify_db_snapshot_attribute, DBSnapshotIdentifier=by_default_key(), AttributeName="restore", ValuesToAdd=["210987654321"])
    refused("an encrypted one for all", "InvalidParameterCombination", rds.modify_db_snapshot_attribute, DBSnapshotIdentifier="boto-snap", AttributeName="restore", ValuesToAdd=["all"])
    arn = rds.describe_db_snapshots(DBSnapshotIdentifier="boto-snap")["DBSnapshots"][0]["DBSnapshotArn"]
    there = client("rds", OTHER)
    away = dict(SourceDBSnapshotIdentifier=arn, TargetDBSnapshotIdentifier="Boto-Copy", SourceRegion=REGION)
    error = refused("copied without a key of that region", "InvalidParameterValue", there.copy_db_snapshot, 400, **away)
    same("as RDS says it", error.response["Error"]["Message"], "Must specify new KMS key for cross region encrypted snapshot copy.")
    refused("copied with a key of elsewhere", "KMSKeyNotAccessibleFault", there.copy_db_snapshot, **away, KmsKeyId=KEYS[REGION])
    same("a copy takes its time", there.copy_db_snapshot(**away, KmsKeyId=KEYS[OTHER])["DBSnapshot"]["Status"], "creating")
    until("copied", lambda: there.describe_db_snapshots(DBSnapshotIdentifier="Boto-copy")["DBSnapshots"][0]["Status"], "available")
    copy = there.describe_db_snapshots(DBSnapshotIdentifier="Boto-copy")["DBSnapshots"][0]
    same("with the key of that region", copy["KmsKeyId"], KEYS[OTHER])
    same("copied", (copy["Status"], copy["SourceRegion"], copy["SourceDBSnapshotIdentifier"]), ("available", REGION, arn))
    automated = rds.describe_db_snapshots(SnapshotType="automated")["DBSnapshots"][0]["DBSnapshotIdentifier"]
    refused("an automated one", "InvalidDBSnapshotState", rds.delete_db_snapshot, DBSnapshotIdentifier=automated)
    rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="boto-two", DBSnapshotIdentifier="boto-snap", DBInstanceClass="db.t3.small")
    available("boto-two")
    holds("a server of its own", listens("boto-two") != listens("boto-one"))
    two = instance("boto-two")
    tags = lambda it: {tag["Key"]: tag["Value"] for tag in it["TagList"]}
    same("without new tags, with those of its source", tags(two), tags(instance("boto-one")))
    same("like the snapshot", (two["DBName"], two["MasterUsername"], two["DBInstanceClass"], two["DeletionProtection"], two["PubliclyAccessible"], two["IAMDatabaseAuthenticationEnabled"]), ("acme", "portarium", "db.t3.small", False, False, False))
    refused("no such snapshot", "DBSnapshotNotFound", rds.restore_db_instance_from_db_snapshot, 404, DBInstanceIdentifier="x", DBSnapshotIdentifier="nowhere")
    refused("no such snapshot", "DBSnapshotNotFound", rds.delete_db_snapshot, DBSnapshotIdentifier="nowhere")
    saw("snapshots made, shared, copied, restored")


def point_in_time():
    look = lambda: instance("boto-one").get("LatestRestorableTime")
    begun = datetime.datetime.now(datetime.timezone.utc)
    until("the archive moves on", look, lambda at: at and at > begun)
    window = rds.describe_db_instance_automated_backups(DBInstanceIdentifier="boto-one")["DBInstanceAutomatedBackups"][0]["RestoreWindow"]
    holds("a window", window["EarliestTime"] < window["LatestTime"], window)
    restore = lambda **over: rds.restore_db_instance_to_point_in_time(**({"SourceDBInstanceIdentifier": "boto-one", "TargetDBInstanceIdentifier": "boto-three"} | over))
    hour = datetime.timedelta(hours=1)
    refused("later than can be", "InvalidParameterValue", restore, RestoreTime=window["LatestTime"] + hour)
    refused("earlier than can be", "InvalidParameterValue", restore, RestoreTime=window["EarliestTime"] - hour)
    refused("both", "InvalidParameterCombination", restore, RestoreTime=window["LatestTime"], UseLatestRestorableTime=True)
    refused("neither", "InvalidParameterCombination", restore)
    refused("no such source", "DBInstanceNotFound", restore, SourceDBInstanceIdentifier="nowhere", UseLatestRestorableTime=True)
    restore(UseLatestRestorableTime=True, BackupRetentionPeriod=0, Tags=[{"Key": "why", "Value": "test"}])
    available("boto-three")
    same("only new tags", instance("boto-three")["TagList"], [{"Key": "why", "Value": "test"}])
    listens("boto-three")
    refused("without automated backups", "PointInTimeRestoreNotEnabled", restore, SourceDBInstanceIdentifier="boto-three", TargetDBInstanceIdentifier="x", UseLatestRestorableTime=True)
    saw("point in time")


def metrics():
    dimension = lambda name: [{"Name": "DBInstanceIdentifier", "Value": name}]
    have = lambda: {it["MetricName"] for page in cloudwatch.get_paginator("list_metrics").paginate(Namespace="AWS/RDS", Dimensions=dimension("boto-one")) for it in page["Metrics"]}
    wanted = {"DatabaseConnections", "CPUUtilization", "FreeableMemory", "FreeStorageSpace", "ReadLatency", "WriteLatency", "ReadIOPS", "WriteIOPS", "DiskQueueDepth", "SwapUsage",
              "CPUCreditBalance", "MaximumUsedTransactionIDs", "TransactionLogsDiskUsage", "DBLoad", "DBLoadCPU", "DBLoadNonCPU", "EBSIOBalance%", "EBSByteBalance%"}
    until("metrics", have, lambda now: wanted <= now)
    holds("only what it has", not have() & {"BurstBalance", "ReplicaLag", "OldestReplicationSlotLag"}, have())
    names = sorted(wanted)
    now = datetime.datetime.now(datetime.timezone.utc)
    query = lambda place, name, of="boto-one", **over: {"Id": f"m{place}", "MetricStat": {"Metric": {"Namespace": "AWS/RDS", "MetricName": name, "Dimensions": dimension(of)}, "Period": 60, "Stat": "Average"} | over}
    ask = dict(StartTime=now - datetime.timedelta(minutes=5), EndTime=now + datetime.timedelta(minutes=1))
    answer = cloudwatch.get_metric_data(MetricDataQueries=[query(place, name) for place, name in enumerate(names)], **ask)
    values = {names[int(it["Id"][1:])]: it["Values"] for it in answer["MetricDataResults"]}
    same("an answer for each", set(values), wanted)
    newest = {name: found[0] for name, found in values.items() if found}
    same("a datapoint of each", set(newest), wanted)
    gib = 1 << 30
    holds("bytes", 29 * gib < newest["FreeStorageSpace"] < 30 * gib and gib < newest["FreeableMemory"] < 8 * gib, newest)
    holds("percent", 0 <= newest["CPUUtilization"] <= 100 and newest["EBSIOBalance%"] > 99, newest)
    holds("seconds", 0 <= newest["ReadLatency"] < 1 and 0 <= newest["WriteLatency"] < 1, newest)
    holds("transaction ids", 0 < newest["MaximumUsedTransactionIDs"] < 1_000_000, newest)
    stamps = answer["MetricDataResults"][0]["Timestamps"]
    holds("whole minutes, the newest first", all(it.second == 0 for it in stamps) and stamps == sorted(stamps, reverse=True), stamps)
    nothing = cloudwatch.get_metric_data(MetricDataQueries=[query(0, "CPUUtilization", "nowhere"), query(1, "BurstBalance")], **ask)["MetricDataResults"]
    same("no datapoints of what is not there", [it["Values"] for it in nothing], [[], []])
    paged = cloudwatch.get_paginator("get_metric_data").paginate(MetricDataQueries=[query(place, name) for place, name in enumerate(names)], MaxDatapoints=3, **ask)
    joined = {}
    for page in paged:
        holds("a page", sum(len(it["Values"]) for it in page["MetricDataResults"]) <= 3)
        for it in page["MetricDataResults"]:
            joined.setdefault(names[int(it["Id"][1:])], []).extend(it["Timestamps"])
    same("pages join to the whole", set(joined), wanted)
    many = [query(place, "CPUUtilization") for place in range(501)]
    refused("501 queries", "ValidationError", cloudwatch.get_metric_data, MetricDataQueries=many, **ask)
    refused("an odd period", "ValidationError", cloudwatch.get_metric_data, MetricDataQueries=[query(0, "CPUUtilization", Period=61)], **ask)
    refused("start after end", "ValidationError", cloudwatch.get_metric_data, MetricDataQueries=[query(0, "CPUUtilization")], StartTime=now, EndTime=now - datetime.timedelta(minutes=1))
    stats = cloudwatch.get_metric_statistics(Namespace="AWS/RDS", MetricName="FreeStorageSpace", Dimensions=dimension("boto-one"), Period=60, Statistics=["Average", "Minimum"], **ask)["Datapoints"]
    holds("statistics", stats and stats[0]["Unit"] == "Bytes" and stats[0]["Minimum"] <= stats[0]["Average"], stats)
    saw(f"{len(wanted)} metrics with datapoints")


def alarms():
    put = lambda name, threshold: cloudwatch.put_metric_alarm(AlarmName=name, Namespace="AWS/RDS", MetricName="FreeStorageSpace", Dimensions=[{"Name": "DBInstanceIdentifier", "Value": "boto-one"}],
        Statistic="Average", Period=60, EvaluationPeriods=1, Threshold=threshold, ComparisonOperator="LessThanThreshold")
    put("boto-much", float(1 << 50))
    put("boto-little", 1.0)
    state = lambda: {it["AlarmName"]: it["StateValue"] for it in cloudwatch.describe_alarms(AlarmNamePrefix="boto-")["MetricAlarms"]}
    until("alarms are judged", state, {"boto-much": "ALARM", "boto-little": "OK"}, 150)
    same("by state", [it["AlarmName"] for it in cloudwatch.describe_alarms(StateValue="ALARM")["MetricAlarms"]], ["boto-much"])
    cloudwatch.delete_alarms(AlarmNames=["boto-much", "boto-little"])
    refused("gone", "ResourceNotFound", cloudwatch.delete_alarms, 404, AlarmNames=["boto-much"])
    saw("alarms")


def log(it):
    files = rds.describe_db_log_files(DBInstanceIdentifier="boto-one")["DescribeDBLogFiles"]
    newest = files[-1]["LogFileName"]
    holds("files by the hour", newest.startswith("error/postgresql.log.20") and files[-1]["Size"] > 0, files)
    text, marker = "", "0"
    while True:
        part = rds.download_db_log_file_portion(DBInstanceIdentifier="boto-one", LogFileName=newest, Marker=marker, NumberOfLines=7)
        text, marker = text + part["LogFileData"], part["Marker"]
        if not part["AdditionalDataPending"]:
            break
    holds("the server's own words", "database system is ready to accept connections" in text, text[-500:])
    tail = rds.download_db_log_file_portion(DBInstanceIdentifier="boto-one", LogFileName=newest, NumberOfLines=1)["LogFileData"]
    same("one line", tail.count("\n"), 1)
    refused("no such file", "DBLogFileNotFoundFault", rds.download_db_log_file_portion, DBInstanceIdentifier="boto-one", LogFileName="error/nothing")
    group = "/aws/rds/instance/boto-one/postgresql"
    same("groups", [it["logGroupName"] for it in logs.describe_log_groups(logGroupNamePrefix="/aws/rds/instance/")["logGroups"]], [group])
    stream = logs.describe_log_streams(logGroupName=group)["logStreams"][0]
    found = logs.filter_log_events(logGroupName=group, filterPattern='"ready to accept"')["events"]
    holds("events", found and all("ready to accept" in it["message"] for it in found), found)
    first = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True, limit=2)
    second = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True, limit=2, nextToken=first["nextForwardToken"])
    holds("pages go on", len(first["events"]) == 2 and second["events"] and first["events"] != second["events"])
    refused("no such group", "ResourceNotFoundException", logs.filter_log_events, logGroupName="/aws/rds/instance/nowhere/postgresql")
    saw("logs")


def backups(it):
    arn = it["DBInstanceArn"]
    refused("no vault", "ResourceNotFoundException", backup.start_backup_job, BackupVaultName="nowhere", ResourceArn=arn, IamRoleArn=ROLE)
    backup.create_backup_vault(BackupVaultName="boto-vault", BackupVaultTags={"a": "b"})
    refused("taken", "AlreadyExistsException", backup.create_backup_vault, BackupVaultName="boto-vault")
    rule = {"RuleName": "daily", "TargetBackupVaultName": "boto-vault", "ScheduleExpression": "cron(0 3 * * ? *)", "Lifecycle": {"DeleteAfterDays": 35}}
    plan = backup.create_backup_plan(BackupPlan={"BackupPlanName": "boto-plan", "Rules": [rule]})["BackupPlanId"]
    got = backup.get_backup_plan(BackupPlanId=plan)["BackupPlan"]
    same("the plan", (got["BackupPlanName"], got["Rules"][0]["ScheduleExpression"], got["Rules"][0]["Lifecycle"]), ("boto-plan", "cron(0 3 * * ? *)", {"DeleteAfterDays": 35}))
    condition = {"ConditionType": "STRINGEQUALS", "ConditionKey": "StorageTier", "ConditionValue": "dedicated"}
    backup.create_backup_selection(BackupPlanId=plan, BackupSelection={"SelectionName": "by-tag", "IamRoleArn": ROLE, "ListOfTags": [condition]})
    same("selections", [one["SelectionName"] for one in backup.list_backup_selections(BackupPlanId=plan)["BackupSelectionsList"]], ["by-tag"])
    refused("what is not heeded", "InvalidParameterValueException", backup.start_backup_job, BackupVaultName="boto-vault", ResourceArn=arn, IamRoleArn=ROLE, CompleteWindowMinutes=120)
    refused("filters that are not heeded", "InvalidParameterValueException", backup.list_backup_jobs, ByParentJobId="x")
    wanted = dict(BackupVaultName="boto-vault", ResourceArn=arn, IamRoleArn=ROLE, IdempotencyToken="once", Lifecycle={"DeleteAfterDays": 35})
    job = backup.start_backup_job(**wanted)
    same("asked again", backup.start_backup_job(**wanted)["BackupJobId"], job["BackupJobId"])
    look = lambda: backup.describe_backup_job(BackupJobId=job["BackupJobId"])["State"]
    until("backup job", look, "COMPLETED")
    done = backup.describe_backup_job(BackupJobId=job["BackupJobId"])
    holds("a real size", done["BackupSizeInBytes"] > 10_000_000 and done["CompletionDate"] >= done["CreationDate"], done)
    same("jobs", [one["BackupJobId"] for one in backup.list_backup_jobs(ByResourceArn=arn)["BackupJobs"]], [job["BackupJobId"]])
    point = job["RecoveryPointArn"]
    same("points", [one["RecoveryPointArn"] for one in backup.list_recovery_points_by_backup_vault(BackupVaultName="boto-vault")["RecoveryPoints"]], [point])
    same("the point", backup.describe_recovery_point(BackupVaultName="boto-vault", RecoveryPointArn=point)["Status"], "COMPLETED")
    kept = backup.describe_recovery_point(BackupVaultName="boto-vault", RecoveryPointArn=point)
    same("goes in 35 days", kept["CalculatedLifecycle"]["DeleteAt"] - kept["CreationDate"], datetime.timedelta(days=35))
    same("of the resource", backup.list_recovery_points_by_resource(ResourceArn=arn)["RecoveryPoints"][0]["RecoveryPointArn"], point)
    there = client("backup", OTHER)
    away = there.create_backup_vault(BackupVaultName="boto-away")["BackupVaultArn"]
    copy = backup.start_copy_job(RecoveryPointArn=point, SourceBackupVaultName="boto-vault", DestinationBackupVaultArn=away, IamRoleArn=ROLE)["CopyJobId"]
    until("copy job", lambda: backup.describe_copy_job(CopyJobId=copy)["CopyJob"]["State"], "COMPLETED")
    same("elsewhere", len(there.list_recovery_points_by_backup_vault(BackupVaultName="boto-away")["RecoveryPoints"]), 1)
    lost = backup.start_copy_job(RecoveryPointArn=point, SourceBackupVaultName="boto-vault", DestinationBackupVaultArn=away.replace("boto-away", "gone"), IamRoleArn=ROLE)["CopyJobId"]
    same("a copy to nowhere", backup.describe_copy_job(CopyJobId=lost)["CopyJob"]["State"], "FAILED")
    metadata = backup.get_recovery_point_restore_metadata(BackupVaultName="boto-vault", RecoveryPointArn=point)["RestoreMetadata"]
    wanted = {"DBInstanceIdentifier": "boto-four", "DBInstanceClass": metadata["DBInstanceClass"], "Engine": "postgres"}
    restore = backup.start_restore_job(RecoveryPointArn=point, Metadata=wanted, IamRoleArn=ROLE)["RestoreJobId"]
    until("restore job", lambda: backup.describe_restore_job(RestoreJobId=restore)["Status"], "COMPLETED")
    listens("boto-four")
    same("nobody asked for its source's tags", instance("boto-four")["TagList"], [])
    failed = backup.start_restore_job(RecoveryPointArn=point, Metadata=wanted, IamRoleArn=ROLE)["RestoreJobId"]
    told = backup.describe_restore_job(RestoreJobId=failed)
    holds("a name that is taken", told["Status"] == "FAILED" and told["StatusMessage"], told)
    refused("a backup of RDS is not stopped", "InvalidRequestException", backup.stop_backup_job, BackupJobId=job["BackupJobId"])
    refused("no such job to stop", "ResourceNotFoundException", backup.stop_backup_job, BackupJobId="nowhere")
    same("all restores", len(backup.list_restore_jobs()["RestoreJobs"]), 2)
    refused("no such job", "ResourceNotFoundException", backup.describe_backup_job, BackupJobId="nowhere")
    refused("a vault that is full", "InvalidRequestException", backup.delete_backup_vault, BackupVaultName="boto-vault")
    refused("what is not there", "UnknownOperationException", backup.list_frameworks)
    saw("backup, copy and restore jobs")


def delete():
    refused("protected", "InvalidParameterCombination", rds.delete_db_instance, DBInstanceIdentifier="boto-one", SkipFinalSnapshot=True)
    rds.modify_db_instance(DBInstanceIdentifier="boto-one", DeletionProtection=False, ApplyImmediately=True)
    refused("no word on a snapshot", "InvalidParameterCombination", rds.delete_db_instance, DBInstanceIdentifier="boto-one")
    refused("both words", "InvalidParameterCombination", rds.delete_db_instance, DBInstanceIdentifier="boto-one", SkipFinalSnapshot=True, FinalDBSnapshotIdentifier="x")
    ports = {name: listens(name) for name in ("boto-one", "boto-two", "boto-three", "boto-four")}
    rds.delete_db_instance(DBInstanceIdentifier="boto-one", FinalDBSnapshotIdentifier="boto-last")
    refused("twice", "InvalidDBInstanceState", rds.delete_db_instance, DBInstanceIdentifier="boto-one", SkipFinalSnapshot=True)
    for name in ("boto-two", "boto-three", "boto-four"):
        rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    until("all are gone", lambda: rds.describe_db_instances()["DBInstances"], [])
    for name, port in ports.items():
        with socket.socket() as probe:
            holds(f"nobody listens for {name}", probe.connect_ex(("127.0.0.1", port)) != 0)
    same("the last snapshot", rds.describe_db_snapshots(DBSnapshotIdentifier="boto-last")["DBSnapshots"][0]["Status"], "available")
    same("no automated ones", [one for one in rds.describe_db_snapshots()["DBSnapshots"] if one["SnapshotType"] == "automated"], [])
    refused("gone", "DBInstanceNotFound", rds.delete_db_instance, 404, DBInstanceIdentifier="boto-one", SkipFinalSnapshot=True)
    saw("deleted")


def faults():
    """What went wrong on purpose is put there by whoever runs this, on these two."""
    refused("throttled", "Throttling", rds.describe_events, 400)
    refused("denied", "AccessDenied", rds.describe_db_log_files, 403, DBInstanceIdentifier="x")
    refused("expired", "ExpiredTokenException", logs.describe_log_groups)
    refused("broken", "InternalFailure", backup.list_backup_vaults, 500)
    refused("throttled in CBOR", "Throttling", cloudwatch.list_metrics)
    saw("faults")


identity()
if sys.argv[1:] == ["faults"]:
    faults()
else:
    bad_wishes()
    groups()
    one = create()
    tags(one)
    modify()
    snapshots(one)
    metrics()
    log(one)
    point_in_time()
    backups(one)
    alarms()
    delete()
print(json.dumps({"fine": True}))
