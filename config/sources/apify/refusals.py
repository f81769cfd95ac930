"""What each error type of Apify's API means for us (API reference, ErrorType, and the examples beside it).

The platform lists the names without a word about them; which one passes by itself and which one needs a person is our
reading. Most belong to calls we never make; they are sorted like the others, so that none is a surprise.
"""

from enum import Enum, auto


class Family(Enum):
    """What follows from a refusal."""

    #: passes by itself: again
    AGAIN = auto()
    #: as AGAIN, but only when something else of the account has ended
    FULL = auto()
    #: nothing is wrong, it is too early
    NOT_YET = auto()
    #: the account's token, money or plan: a person is needed, the data waits
    PERSON = auto()
    #: the token is good, but not for this: a person too
    FORBIDDEN = auto()
    #: the platform does not know the thing
    GONE = auto()
    #: asked again it is refused again
    NEVER = auto()


#: Of each family: rates, collisions and trouble first, then what belongs together by its object.
NAMES = {
    Family.AGAIN: """
        rate-limit-exceeded too-many-requests daily-ai-token-limit-exceeded daily-publication-limit-exceeded
        email-update-too-soon user-creates-organizations-too-fast cannot-modify-actor-pricing-too-frequently
        socket-closed socket-destroyed query-timeout operation-timed-out operation-canceled run-timeout-exceeded
        request-aborted-prematurely concurrent-update-detected input-update-collision dataset-locked
        internal-server-error billing-system-error exchange-rate-fetch-failed braintree-operation-timed-out
        taxamo-call-failed taxamo-request-failed agentic-payment-provider-internal-error
        agentic-payment-info-retrieval-error x402-agentic-payment-settlement-in-progress
    """,
    Family.FULL: """
        actor-memory-limit-exceeded concurrent-runs-limit-exceeded
    """,
    Family.NOT_YET: """
        cannot-remove-running-run deleting-unfinished-build
    """,
    Family.PERSON: """
        token-not-valid token-not-provided invalid-token invalid-token-type missing-api-token own-token-required
        user-or-token-not-found user-not-logged-in user-disabled user-not-verified user-email-not-verified
        invalid-credentials invalid-signature
        limit-reached monthly-usage-limit-too-low not-enough-usage-to-run-paid-actor
        apify-plan-required-to-use-paid-actor black-friday-plan-expired actor-is-not-rented store-terms-not-accepted
        x402-payment-required x402-agentic-payment-insufficient-amount x402-agentic-payment-malformed-token
        x402-agentic-payment-settlement-failed x402-agentic-payment-settlement-stuck x402-agentic-payment-unauthorized
        agentic-payment-information-missing agentic-payment-insufficient-amount agentic-payment-provider-unauthorized
        3d-secure-auth-failed failed-to-charge-user missing-billing-info invalid-billing-info
        no-payment-method-available stripe-generic-decline user-has-no-subscription user-problem-with-card
        upcoming-subscription-bill-not-up-to-date
        no-team-account-seats-available too-many-actor-tasks too-many-actors too-many-labels-on-resource
        too-many-mcp-connectors too-many-o-auth-apps too-many-organizations too-many-schedules too-many-ui-access-keys
        too-many-user-labels too-many-versions too-many-webhooks
    """,
    Family.FORBIDDEN: """
        insufficient-permissions insufficient-permissions-to-change-field insufficient-security-measures
        permission-denied elevated-permissions-needed unsupported-permission missing-actor-rights must-be-admin
        user-is-not-member-of-organization actor-not-public record-not-public
    """,
    Family.GONE: """
        record-not-found record-or-token-not-found actor-not-found build-not-found default-dataset-not-found
        unknown-build-tag schedule-actor-not-found schedule-actor-task-not-found user-not-found user-record-not-found
        user-is-removed action-not-found authorization-server-not-found conference-token-not-found coupon-not-found
        github-public-key-not-found github-repository-not-found invoice-not-found issue-not-found
        no-payment-attempt-for-refund-found organization-role-not-found payout-not-found
        requested-dataset-view-does-not-exist user-integration-not-found
    """,
    Family.NEVER: """
        access-right-already-exists actor-already-rented actor-can-not-be-rented actor-disabled
        actor-name-exists-new-owner actor-name-not-unique actor-not-github-actor
        actor-permission-level-not-supported-for-agentic-payments actor-review-already-exists actor-run-failed
        actor-standby-not-supported-for-agentic-payments actor-task-name-not-unique airtable-webhook-deprecated
        already-subscribed-to-paid-actor apify-signup-not-allowed auth-method-not-supported auto-issue-date-invalid
        background-check-required braintree-error braintree-not-linked braintree-unsupported-currency build-outdated
        cannot-add-apify-events-to-ppe-actor cannot-add-multiple-pricing-infos cannot-add-pricing-info-that-alters-past
        cannot-add-second-future-pricing-info cannot-build-actor-from-webhook cannot-change-billing-interval
        cannot-change-owner cannot-charge-apify-event cannot-charge-non-pay-per-event-actor cannot-comment-as-other-user
        cannot-copy-actor-task cannot-create-payout cannot-create-public-actor cannot-create-tax-transaction
        cannot-delete-critical-actor cannot-delete-invoice cannot-delete-paid-actor
        cannot-disable-one-time-event-for-apify-start-event cannot-disable-organization-with-enabled-members
        cannot-disable-user-with-subscription cannot-link-oauth-to-unverified-email
        cannot-metamorph-to-pay-per-result-actor cannot-modify-actor-pricing-with-immediate-effect
        cannot-override-paid-actor-trial cannot-permanently-delete-subscription cannot-publish-actor
        cannot-reduce-last-full-token cannot-reimburse-more-than-original-charge cannot-reimburse-non-rental-charge
        cannot-remove-own-actor-from-recently-used cannot-remove-payment-method cannot-remove-pricing-info
        cannot-remove-user-with-public-actors cannot-remove-user-with-subscription
        cannot-remove-user-with-unpaid-invoice cannot-rename-env-var cannot-rent-paid-actor cannot-review-own-actor
        cannot-set-access-rights-for-owner cannot-set-is-status-message-terminal cannot-unpublish-critical-actor
        cannot-unpublish-paid-actor cannot-unpublish-profile cannot-update-invoice-field
        content-encoding-forbidden-for-html coupon-already-redeemed coupon-expired coupon-for-new-customers
        coupon-for-subscribed-users coupon-limits-are-in-conflict-with-current-limits
        coupon-max-number-of-redemptions-reached coupon-not-unique coupons-disabled create-github-issue-not-allowed
        creator-plan-not-available cron-expression-invalid dataset-does-not-have-fields-schema
        dataset-does-not-have-schema dataset-schema-invalid dcr-not-supported deleting-default-build email-already-taken
        email-already-taken-removed-user email-domain-not-allowed-for-coupon email-invalid email-not-allowed
        email-not-valid env-var-already-exists expired-conference-token final-invoice-negative github-branch-empty
        github-issue-already-exists github-signature-does-not-match-payload github-user-not-authorized-for-issues
        gmail-not-allowed id-does-not-match incompatible-billing-interval incomplete-payout-billing-info
        inconsistent-currencies incorrect-pricing-modifier-prefix input-json-invalid-characters input-json-not-object
        input-json-too-long insufficient-tax-country-evidence integration-auth-error invalid-billing-period-for-payout
        invalid-build invalid-client-key invalid-collection invalid-conference-login-password
        invalid-content-type-header invalid-git-auth-token invalid-github-issue-url invalid-header invalid-id
        invalid-idempotency-key invalid-input invalid-input-schema invalid-invoice invalid-invoice-type
        invalid-issue-date invalid-label-params invalid-main-account-user-id invalid-oauth-app invalid-oauth-scope
        invalid-one-time-invoice invalid-parameter invalid-payout-status invalid-picture-url invalid-record-key
        invalid-request invalid-resource-type invalid-subscription-plan invalid-tax-number invalid-tax-number-format
        invalid-two-factor-code invalid-two-factor-code-or-recovery-code invalid-two-factor-recovery-code
        invalid-username invalid-value invitation-invalid-resource-type invitation-no-longer-valid invoice-canceled
        invoice-cannot-be-refunded-due-to-too-high-amount invoice-incomplete invoice-is-draft invoice-locked
        invoice-must-be-buffer invoice-not-canceled invoice-not-draft invoice-outdated invoice-paid-already
        issue-already-connected-to-github issuer-not-registered issues-bad-request job-finished label-already-linked
        last-api-token max-items-must-be-greater-than-zero max-metamorphs-exceeded max-total-charge-usd-below-minimum
        max-total-charge-usd-must-be-greater-than-zero method-not-allowed migration-disabled missing-line-items
        missing-payment-date missing-payout-billing-info missing-proxy-password missing-reporting-fields
        missing-resource-name missing-settings missing-username more-than-one-update-not-allowed multiple-records-found
        name-not-unique next-runtime-computation-failed no-columns-in-exported-dataset non-temporary-email
        not-implemented not-supported-currencies o-auth-service-already-connected o-auth-service-not-connected
        oauth-resource-access-failed one-time-invoice-already-marked-paid only-drafts-can-be-deleted
        operation-not-allowed organization-cannot-own-itself overlapping-payout-billing-periods page-not-found
        param-not-one-of parameter-required parameters-mismatched password-reset-email-already-sent
        password-reset-token-expired pay-as-you-go-without-monthly-interval payment-attempt-status-message-required
        payout-already-paid payout-canceled payout-invalid-state payout-must-be-approved-to-be-marked-paid
        payout-number-already-exists phone-number-invalid phone-number-landline phone-number-opted-out
        phone-verification-disabled platform-feature-disabled price-overrides-validation-failed
        pricing-model-not-supported promotional-plan-not-available proxy-auth-ip-not-unique public-actor-disabled
        quoted-price-outdated recaptcha-invalid recaptcha-required record-too-large redirect-uri-mismatch
        reduced-plan-not-available rental-charge-already-reimbursed rental-not-allowed request-handled-or-locked
        request-id-invalid request-queue-duplicate-requests request-too-large resume-token-expired run-failed
        russia-is-evil same-user schedule-name-not-unique schema-validation schema-validation-error
        schema-validation-failed sign-up-method-not-allowed slack-integration-not-custom store-schema-invalid
        stripe-enabled stripe-not-enabled stripe-not-enabled-for-user tagged-build-required tax-country-invalid
        tax-number-invalid tax-number-validation-failed testing-error too-few-versions too-many-values unexpected-route
        unknown-payment-provider unsubscribe-token-invalid unsupported-actor-pricing-model-for-agentic-payments
        unsupported-content-encoding unsupported-file-type-for-issue unsupported-file-type-image-expected
        unsupported-file-type-text-or-json-expected user-already-exists user-already-verified user-email-is-disposable
        user-email-not-set user-is-already-invited user-is-already-organization-member user-is-not-organization
        user-is-organization user-is-organization-owner user-plan-not-allowed-for-coupon username-already-taken
        username-missing username-not-allowed username-removal-forbidden username-required
        verification-email-already-sent verification-token-expired version-already-exists versions-size-exceeded
        weak-password x402-agentic-payment-already-finalized zero-invoice
    """,
}

#: Type → family.
FAMILIES = {name: family for family, names in NAMES.items() for name in names.split()}
