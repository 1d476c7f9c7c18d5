-- SPDX-License-Identifier: BSD-3-Clause
-- Applies one numbered batch, once. Redis runs it alone and to the end, but does not roll back: so everything is checked before the
-- first write, the number is advanced by the first write (if that one is refused, for memory or on a replica, nothing happened and the batch is
-- sent again), and no later command can stop the rest.
--
-- KEYS[1]  teredown:{R}:applied
-- ARGV     instance, boot of the sender, lease in ms; nothing else when only the lease is asked for (0: given back). Then
--          boot, number, schema, version, started, now (Unix ms), retention, pair retention (s), the ten bounds, then items:
--   c client hour first last N (counter value)*N     counters of a client in an hour
--   h hour N (counter value)*N                        their sum
--   q client name hour queries hits last              who asked what
--   p address client name first last count owner      who was told what
--   t address hour source count                       when
--   z zone client hits last                           hits of a policy zone
--   n day name count weight                           top names; weight is of their estimate, for "*other" what any name may lack
--   d day name count                                  the same, as it was in version 1
--   x ts json      e ts json                          entries of the streams transactions, events
--   k hour                                            hours up to this one are complete
-- Hours and days are counted from 1970, times are Unix ms.
--
-- Returns {"applied" | "duplicate" | "invalid" | "lease", number, failed commands, first error, recording_since, store}; an error "FENCED
-- <boot>" while another instance holds the lease. `store` is a random marker that the first batch makes: it tells an emptied Redis from one
-- that lost something.

local OTHER = '*other'
local ITEMS = { c = 'sinnC', h = 'iC', q = 'ssinnn', p = 'sssnnns', t = 'sisn', z = 'ssnn', d = 'isn', n = 'isnn', x = 'ns', e = 'ns', k = 'i' }
local HEADER = 'snnsnnnnnnnnnnnnnn'

local FIRST = 4 -- where the header begins
local CLOCK_STEP = 3600000 -- a lease that ends later than this was given before Redis's clock stepped back

local prefix = string.sub(KEYS[1], 1, -#'applied' - 1)
local meta = prefix .. 'meta'

local function is_error(reply)
	return type(reply) == 'table' and reply.err ~= nil
end

-- In a cluster, a slot on the move has some of its keys on another node, and commands on those fail one by one: half a batch would be applied.
-- A key that never exists tells: on a node whose slot is leaving it counts as gone already. Nothing is written then; the batch is sent again.
local probe = redis.pcall('EXISTS', prefix .. 'none')
if is_error(probe) then return redis.error_reply('TRYAGAIN nothing was written: ' .. probe.err) end

-- One writer ---------------------------------------------------------------

local instance, sender, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]) or 0
local clock = redis.call('TIME')
local redis_ms = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

local lease = redis.pcall('HMGET', meta, 'lease_instance', 'lease_boot', 'lease_until')
if is_error(lease) then lease = {} end
local left = (tonumber(lease[3] or nil) or 0) - redis_ms
if lease[1] and lease[1] ~= instance and left > 0 and left < CLOCK_STEP then
	return redis.error_reply('FENCED ' .. (lease[2] or ''))
end

local function take_lease()
	if instance == '' then return false end
	if lease_ms == 0 then return redis.pcall('HDEL', meta, 'lease_instance', 'lease_boot', 'lease_until') end
	return redis.pcall('HSET', meta, 'lease_instance', instance, 'lease_boot', sender, 'lease_until', string.format('%.0f', redis_ms + lease_ms))
end

local function answer(status, number, failed, first_error)
	local known = redis.pcall('HMGET', meta, 'recording_since', 'store')
	if is_error(known) then known = {} end
	return { status, number, failed, first_error, known[1] or false, known[2] or false }
end

if #ARGV < FIRST then
	local taken = take_lease()
	if is_error(taken) then return taken end
	return answer('lease', 0, 0, '')
end

-- Checking -----------------------------------------------------------------

local numbers = {} -- every argument that has to be digits, looked at in one go
local positions = {} -- where items begin

local function note_number(text, digits)
	if not text or #text == 0 or #text > digits then return false end
	numbers[#numbers + 1] = text
	return true
end

-- The place behind the values that begin at `at`, nil when they are not as `form` says: s text, n number, i hour or day, C counters.
local function check(form, at)
	for k = 1, #form do
		local kind, value = string.sub(form, k, k), ARGV[at]
		at = at + 1
		if kind == 's' then
			if not value then return nil end
		elseif not note_number(value, kind == 'n' and 15 or 7) then
			return nil
		elseif kind == 'C' then
			for _ = 1, tonumber(value) or 0 do
				if not ARGV[at] or not note_number(ARGV[at + 1], 15) then return nil end
				at = at + 2
			end
		end
	end
	return at
end

local function all_digits()
	return not string.find(table.concat(numbers, ' '), '[^0-9 ]')
end

local function first_invalid(at)
	while ARGV[at] do
		local form = ITEMS[ARGV[at]]
		positions[#positions + 1] = at
		local behind = form and check(form, at + 1)
		if not behind then return at end
		at = behind
	end
	return not all_digits() and at or nil
end

local first_item = check(HEADER, FIRST)
if not first_item or not all_digits() then
	return redis.error_reply('TEREDOWN the header of the batch is invalid')
end
local invalid = first_invalid(first_item)

local boot, number, schema, version, started, now, retention, pair_retention = unpack(ARGV, FIRST, FIRST + 7)
local number_text, now_text = number, now
number, now, retention, pair_retention = tonumber(number), tonumber(now), tonumber(retention), tonumber(pair_retention)
local bound = {}
for k, name in ipairs({ 'clients', 'client_names', 'names', 'name_clients', 'name_addresses', 'addresses', 'pairs', 'hour_names', 'top', 'stream' }) do
	bound[name] = tonumber(ARGV[FIRST + 7 + k])
end

-- Once ---------------------------------------------------------------------

local last = redis.pcall('HGET', KEYS[1], boot)
if is_error(last) then return last end
if last and tonumber(last) and tonumber(last) >= number then
	take_lease()
	return answer('duplicate', number, 0, '')
end
-- The marker stands for `meta` and `applied` together: where one of them was deleted or evicted, nobody knows any more what was applied.
local first_ever = not last and redis.pcall('EXISTS', KEYS[1]) == 0
local advanced = redis.pcall('HSET', KEYS[1], boot, number_text)
if is_error(advanced) then return advanced end

local failed, first_error = 0, ''

-- nil when the command failed, which is reported and does not stop the rest.
local function call(...)
	local reply = redis.pcall(...)
	if is_error(reply) then
		failed = failed + 1
		if first_error == '' then first_error = reply.err end
		return nil
	end
	return reply
end

-- Time ---------------------------------------------------------------------

-- Gregorian date of a day since 1970.
local function date_of(day)
	local z = day + 719468
	local era = math.floor(z / 146097)
	local doe = z - era * 146097
	local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
	local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
	local mp = math.floor((5 * doy + 2) / 153)
	local month = mp < 10 and mp + 3 or mp - 9
	return yoe + era * 400 + (month <= 2 and 1 or 0), month, doy - math.floor((153 * mp + 2) / 5) + 1
end

local function memoise(make)
	local known = {}
	return function(key)
		local value = known[key]
		if not value then
			value = make(key)
			known[key] = value
		end
		return value
	end
end

local day_text = memoise(function(day) return string.format('%04d%02d%02d', date_of(day)) end)
local hour_text = memoise(function(hour) return day_text(math.floor(hour / 24)) .. string.format('%02d', hour % 24) end)

local function time_text(ms)
	local day = math.floor(ms / 86400000)
	local rest = ms - day * 86400000
	local year, month, date = date_of(day)
	return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, date, math.floor(rest / 3600000),
		math.floor(rest / 60000) % 60, math.floor(rest / 1000) % 60, rest % 1000)
end

-- Bounds and retention -----------------------------------------------------

local dropped = {}
local function drop(family)
	dropped[family] = (dropped[family] or 0) + 1
end

-- Expiry is computed from the data, so a batch that is replayed late prolongs nothing. It is rounded up to the hour, and set (at the end, once)
-- only where a key was created or an hour has passed: most keys are written far more often than that.
local expiry = {}
local function expire(key, at)
	at = math.ceil(at / 3600) * 3600
	if at > (expiry[key] or 0) then expiry[key] = at end
end

-- An index says which members of a family exist and when they were last seen.
local function new_index(name, retain)
	return { key = prefix .. name, name = name, bound = bound[name], retain = retain, seen = {} }
end
local clients = new_index('clients', pair_retention)
local names = new_index('names', retention)
local addresses = new_index('addresses', pair_retention)

local function look_up(index, member)
	local score = call('ZSCORE', index.key, member)
	local entry = { as = member, last = tonumber(score or -1), stored = tonumber(score or -1) }
	index.seen[member] = entry
	if score or member == OTHER then return entry end
	index.card = index.card or call('ZCARD', index.key) or 0
	if index.card >= index.bound then
		entry.as = OTHER
		drop(index.name)
	else
		index.card = index.card + 1
	end
	return entry
end

local function hour_of(ms)
	return math.floor(ms / 3600000)
end

-- The member, or *other when the family is full, and its entry.
local function admit(index, member, ms)
	local entry = index.seen[member] or look_up(index, member)
	if entry.as ~= member then return admit(index, OTHER, ms) end
	if ms > entry.last then
		entry.last = ms
		entry.moved = hour_of(ms) ~= hour_of(entry.stored)
	end
	return member, entry
end

-- For a key that lives as long as a member of an index.
local function expire_with(key, entry, retain, created)
	if created or entry.moved then expire(key, entry.last / 1000 + retain) end
end

local function store_index(index)
	local pairs_of = {}
	for member, entry in pairs(index.seen) do
		if entry.as == member and entry.last > entry.stored then
			pairs_of[#pairs_of + 1] = string.format('%.0f', entry.last)
			pairs_of[#pairs_of + 1] = member
		end
	end
	for at = 1, #pairs_of, 200 do
		call('ZADD', index.key, unpack(pairs_of, at, math.min(at + 199, #pairs_of)))
	end
end

-- How many members a key holds: asked once, then counted on.
local sizes = {}
local function grow(key, command)
	local size = sizes[key]
	size = size and size + 1 or call(command, key) or 0
	sizes[key] = size
	return size
end

-- Adds to a member of a sorted set that holds at most `most` members: one command for a known member, two for a new one.
-- True when it created the key.
local function add_bounded(key, member, count, most, family)
	local score = call('ZINCRBY', key, count, member)
	if not score or tonumber(score) ~= tonumber(count) then return false end
	local size = grow(key, 'ZCARD')
	if size > most and member ~= OTHER then
		call('ZREM', key, member)
		call('ZINCRBY', key, count, OTHER)
		sizes[key] = nil
		drop(family)
	end
	return size == 1
end

-- The newest time of a member; only a clock that stepped back between batches can lower it, until the next one.
local raised = {}
local function raise(key, member, ms)
	local known = raised[key] or {}
	raised[key] = known
	if known[member] and known[member] >= ms then return false end
	known[member] = ms
	return call('ZADD', key, ms, member) == 1
end

local function hour_expiry(hour)
	return (hour + 1) * 3600 + retention
end

-- Items ---------------------------------------------------------------------

local ZSETS = { queries = true, watched = true, blocked = true }

-- Adds the N counters at `at` to fields of a hash; times, if any, widen first_seen and last_seen. True when all fields are new, as in a key
-- just created.
local function add_counters(key, at, first, last_ms)
	local count = tonumber(ARGV[at])
	local fields, set = {}, {}
	for k = 1, count do fields[k] = ARGV[at + 2 * k - 1] end
	if first then
		fields[count + 1] = 'first_seen'
		fields[count + 2] = 'last_seen'
	end
	if #fields == 0 then return end
	local old = call('HMGET', key, unpack(fields))
	if not old then return end
	for k = 1, count do
		set[2 * k - 1] = fields[k]
		set[2 * k] = string.format('%.0f', (tonumber(old[k] or 0) or 0) + tonumber(ARGV[at + 2 * k]))
	end
	if first then
		local old_first, old_last = tonumber(old[count + 1] or nil), tonumber(old[count + 2] or nil)
		set[2 * count + 1] = 'first_seen'
		set[2 * count + 2] = string.format('%.0f', old_first and math.min(old_first, first) or first)
		set[2 * count + 3] = 'last_seen'
		set[2 * count + 4] = string.format('%.0f', old_last and math.max(old_last, last_ms) or last_ms)
	end
	return call('HSET', key, unpack(set)) == #set / 2
end

local queries = 0
local apply = {}

function apply.c(at)
	local hour, first, last_ms = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
	local client, seen = admit(clients, ARGV[at], last_ms)
	local key = prefix .. 'client:' .. client
	local created = add_counters(key, at + 4, first, last_ms)
	expire_with(key, seen, pair_retention, created)
	for k = 1, tonumber(ARGV[at + 4]) do
		local counter, value = ARGV[at + 3 + 2 * k], ARGV[at + 4 + 2 * k]
		if ZSETS[counter] then
			local hourly = prefix .. 'hour:' .. hour_text(hour) .. ':' .. counter
			call('ZINCRBY', prefix .. 'clients:' .. counter, value, client)
			if add_bounded(hourly, client, value, bound.clients, 'clients') then expire(hourly, hour_expiry(hour)) end
		end
		if counter == 'queries' then queries = queries + tonumber(value) end
	end
end

function apply.h(at)
	local hour = tonumber(ARGV[at])
	local key = prefix .. 'hour:' .. hour_text(hour)
	if add_counters(key, at + 1) then expire(key, hour_expiry(hour)) end
end

function apply.q(at)
	local hour, hits, last_ms = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
	local client, client_seen = admit(clients, ARGV[at], last_ms)
	local name, name_seen = admit(names, ARGV[at + 1], last_ms)
	local of_client = prefix .. 'client:' .. client .. ':names'
	local of_name = prefix .. 'name:' .. name .. ':clients'
	local client_created = add_bounded(of_client, ARGV[at + 1], ARGV[at + 3], bound.client_names, 'client_names')
	local name_created = add_bounded(of_name, client, ARGV[at + 3], bound.name_clients, 'name_clients')
	expire_with(of_client, client_seen, retention, client_created)
	expire_with(of_name, name_seen, retention, name_created)
	if hits > 0 then
		local watched = prefix .. 'hour:' .. hour_text(hour) .. ':watched-names'
		if add_bounded(watched, client .. ' ' .. ARGV[at + 1], hits, bound.hour_names, 'hour_names') then
			expire(watched, hour_expiry(hour))
		end
	end
end

function apply.p(at)
	local first, last_ms, count = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
	local address, seen = admit(addresses, ARGV[at], last_ms)
	local client = admit(clients, ARGV[at + 1], last_ms)
	local name, name_seen = admit(names, ARGV[at + 2], last_ms)
	local key, field, owner = prefix .. 'pair:' .. address, client .. ' ' .. ARGV[at + 2], ARGV[at + 6]
	local old, created = call('HGET', key, field), false
	if old == false then
		sizes[key] = sizes[key] or call('HLEN', key)
		if (sizes[key] or 0) >= bound.pairs then
			field, owner = OTHER .. ' ' .. OTHER, OTHER
			old = call('HGET', key, field)
			drop('pairs')
		else
			sizes[key] = (sizes[key] or 0) + 1
			created = sizes[key] == 1
		end
	end
	local old_first, old_last, old_count, old_owner = string.match(old or '', '^(%d+) (%d+) (%d+) (.*)$')
	if old_first then
		if tonumber(old_last) > last_ms then owner = old_owner end
		first = math.min(first, tonumber(old_first))
		last_ms = math.max(last_ms, tonumber(old_last))
		count = count + tonumber(old_count)
	end
	call('HSET', key, field, string.format('%.0f %.0f %.0f %s', first, last_ms, count, owner))
	expire_with(key, seen, pair_retention, created)

	local of_name = prefix .. 'name:' .. name
	local size = raise(of_name, address, last_ms) and grow(of_name, 'ZCARD') or 0
	if size > bound.name_addresses then
		call('ZREMRANGEBYRANK', of_name, 0, -bound.name_addresses - 1)
		sizes[of_name] = nil
		drop('name_addresses')
	end
	expire_with(of_name, name_seen, retention, size == 1)
end

-- Hours of a timeline that are beyond their retention, once there are some.
local function trim_timeline(key, hour)
	local kept = math.floor(retention / 3600)
	if (call('HLEN', key) or 0) <= 6 * (kept + 24) then return end
	local oldest = hour_text(math.max(hour - kept, 0))
	for _, field in ipairs(call('HKEYS', key) or {}) do
		if string.sub(field, 1, 10) < oldest then call('HDEL', key, field) end
	end
end

function apply.t(at)
	local hour = tonumber(ARGV[at + 1])
	local address = admit(addresses, ARGV[at], hour * 3600000)
	local key = prefix .. 'timeline:' .. address
	if call('HINCRBY', key, hour_text(hour) .. ':' .. ARGV[at + 2], ARGV[at + 3]) == tonumber(ARGV[at + 3]) then
		trim_timeline(key, hour)
		expire(key, hour_expiry(hour))
	end
end

local function add_event(ts, json)
	call('XADD', prefix .. 'events', 'MAXLEN', '~', bound.stream, '*', 'ts', ts, 'json', json)
end

function apply.z(at)
	local last_ms = tonumber(ARGV[at + 3])
	local client = admit(clients, ARGV[at + 1], last_ms)
	local key = prefix .. 'watch:' .. ARGV[at]
	call('ZINCRBY', key, ARGV[at + 2], client)
	local is_new = raise(key .. ':last', client, last_ms)
	expire(key, last_ms / 1000 + pair_retention)
	expire(key .. ':last', last_ms / 1000 + pair_retention)
	if is_new and client ~= OTHER then
		add_event(last_ms, cjson.encode({ ts = time_text(last_ms), kind = 'new-client', text = client .. ' in zone ' .. ARGV[at] }))
	end
end

function apply.d(at)
	local day = tonumber(ARGV[at])
	local key = prefix .. 'top:' .. day_text(day)
	if add_bounded(key, ARGV[at + 1], ARGV[at + 2], bound.top, 'top') then expire(key, (day + 1) * 86400 + retention) end
end

apply.n = apply.d

function apply.x(at)
	call('XADD', prefix .. 'transactions', 'MAXLEN', '~', bound.stream, '*', 'ts', ARGV[at], 'json', ARGV[at + 1])
end

function apply.e(at)
	add_event(ARGV[at], ARGV[at + 1])
end

local function close_hour(hour)
	local totals = call('HGETALL', prefix .. 'hour:' .. hour_text(hour))
	if not totals or #totals == 0 then return end
	local entry = { 'hour', hour_text(hour), 'ts', string.format('%.0f', hour * 3600000), unpack(totals) }
	local key, ms = prefix .. 'hours', string.format('%.0f', hour * 3600000)
	-- The hour as the entry's id lets XRANGE read by time; where a clock stepped back, ids can only go on.
	if is_error(redis.pcall('XADD', key, 'MAXLEN', '~', bound.stream, ms .. '-0', unpack(entry))) then
		call('XADD', key, 'MAXLEN', '~', bound.stream, '*', unpack(entry))
	end
end

-- Hours since the last one closed, two days at most; a clock that was far ahead does not stop this for ever.
function apply.k(at)
	local upto = tonumber(ARGV[at])
	local closed = tonumber(call('HGET', meta, 'closed_hour') or nil)
	if closed and closed == upto then return end
	if closed and closed < upto then
		for hour = math.max(closed + 1, upto - 47), upto do close_hour(hour) end
	end
	if not closed or closed < upto or closed > upto + 48 then
		call('HSET', meta, 'closed_hour', upto)
	end
end

-- Housekeeping ----------------------------------------------------------------

-- A few members of an index that were last seen before its retention; keys of names and addresses expire on their own.
local function purge(index, most, remove)
	local before = string.format('(%.0f', now - index.retain * 1000)
	local old = call('ZRANGEBYSCORE', index.key, '-inf', before, 'LIMIT', 0, most)
	for _, member in ipairs(old or {}) do
		call('ZREM', index.key, member)
		if remove then remove(member) end
	end
end

local function remove_client(client)
	call('DEL', prefix .. 'client:' .. client, prefix .. 'client:' .. client .. ':names')
	for counter in pairs(ZSETS) do call('ZREM', prefix .. 'clients:' .. counter, client) end
end

-- `applied` keeps the boots of last resort: the newest 64, by Redis's clock and never by a resolver's, which may start in 1970.
local function register_boot()
	local newest = call('ZREVRANGE', prefix .. 'boots', 0, 0, 'WITHSCORES') or {}
	call('ZADD', prefix .. 'boots', string.format('%.0f', math.max(redis_ms, (tonumber(newest[2]) or 0) + 1)), boot)
	local surplus = (call('ZCARD', prefix .. 'boots') or 0) - 64
	if surplus <= 0 then return end
	for _, old in ipairs(call('ZRANGE', prefix .. 'boots', 0, surplus - 1) or {}) do
		call('ZREM', prefix .. 'boots', old)
		if old ~= boot then call('HDEL', KEYS[1], old) end
	end
end

local function store_meta()
	call('HSET', meta, 'schema', schema)
	if sender == '' or sender == boot then -- not a batch that an earlier boot left
		call('HSET', meta, 'version', version, 'boot', boot, 'started', started, 'last_batch', number_text, 'last_batch_at', now_text)
	end
	call('HSETNX', meta, 'recording_since', now_text)
	call(first_ever and 'HSET' or 'HSETNX', meta, 'store', string.sub(redis.sha1hex(boot .. number_text .. clock[1] .. '.' .. clock[2]), 1, 16))
	local taken = take_lease()
	if is_error(taken) then
		failed = failed + 1
		if first_error == '' then first_error = taken.err end
	end
	if queries > 0 then call('HINCRBY', meta, 'queries', string.format('%.0f', queries)) end
	for family, count in pairs(dropped) do call('HINCRBY', meta, 'dropped_' .. family, count) end
end

-- The batch -------------------------------------------------------------------

if not last then register_boot() end
if not invalid then
	for _, at in ipairs(positions) do apply[ARGV[at]](at + 1) end
	for _, index in ipairs({ clients, names, addresses }) do store_index(index) end
	for key, when in pairs(expiry) do call('EXPIREAT', key, when) end
	purge(clients, 4, remove_client)
	purge(names, 16)
	purge(addresses, 16)
end
store_meta()
if invalid then return answer('invalid', number, 1, 'argument ' .. invalid) end
return answer('applied', number, failed, first_error)
